use super::*;

fn head(method: &str, max_forwards: Option<&str>) -> request::Parts {
    let mut builder = Request::builder().method(method).uri("/");
    if let Some(value) = max_forwards {
        builder = builder.header(MAX_FORWARDS, value);
    }
    builder.body(()).unwrap().into_parts().0
}

#[test]
fn max_forwards_counts_for_trace_and_options_only() {
    for (method, before, after) in
        [("OPTIONS", "3", "2"), ("TRACE", "1", "0"), ("GET", "0", "0"), ("GET", "x", "x")]
    {
        let mut parts = head(method, Some(before));
        count_forwards(&mut parts).unwrap();
        assert_eq!(parts.headers.get(MAX_FORWARDS).unwrap(), after, "{method} {before}");
    }
    assert_eq!(count_forwards(&mut head("TRACE", Some("0"))).unwrap_err().status, 501);
    assert_eq!(count_forwards(&mut head("OPTIONS", Some("-1"))).unwrap_err().status, 400);
    assert_eq!(count_forwards(&mut head("TRACE", None)), Ok(()));
}
