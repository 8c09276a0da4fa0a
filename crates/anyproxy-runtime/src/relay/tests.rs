mod chunks;
mod ends;
mod fairness;
mod script;
mod timing;
