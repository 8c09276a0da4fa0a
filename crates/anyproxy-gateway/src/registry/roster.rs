//! The sessions of one group, and who takes whose place.
//!
//! A client is known by its id and replica. Of all that log in under one such name, one session is
//! live. A session that is *new* takes the place of the older one: the client was restarted, or has
//! lost its memory. A client that comes back names the generation it had (*supersede*): it replaces
//! that session, but not one of another process that took over since. Two processes with one name
//! would otherwise push each other out for ever.
//!
//! The name is the client's own word. So only who has proven the same, the same key, a certificate of the same
//! subject or likewise the group's secret, may take a session's place. A key is enrolled for that very name: it
//! takes the place of all others, which may have taken the name before it was, or to keep the client out.

use std::sync::Arc;

use crate::enrolment::Proven;

/// What a reconnecting client has in common with its former self.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey {
    pub(crate) id: String,
    pub(crate) replica: u64,
}

/// What tells a session from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) client: ClientKey,
    /// What it has proven.
    pub(crate) proven: Proven,
    /// The client's process.
    pub(crate) instance: [u8; 16],
    /// Ascending over all sessions of the gateway.
    pub(crate) generation: u64,
    pub(crate) claim: Claim,
}

/// Whose place a session may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Any older one's.
    New,
    /// That of its own process, and those up to this generation.
    UpTo(u64),
}

pub(crate) trait Member {
    fn identity(&self) -> &Identity;
}

/// Why another session with the same name keeps one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptOut {
    /// It came later, or has taken over since.
    Newer,
    /// It is another's: it has proven something else.
    Anothers,
}

/// Live sessions and those that are about to be.
#[derive(Debug)]
pub(super) struct Roster<M> {
    members: Vec<Arc<M>>,
    /// From the check of the limits to Welcome's end.
    arriving: Vec<Identity>,
}

impl<M> Default for Roster<M> {
    fn default() -> Self {
        Self { members: Vec::new(), arriving: Vec::new() }
    }
}

impl Identity {
    /// Whether this one may take the place of `standing`, which has the same name.
    fn replaces(&self, standing: &Self) -> Result<(), KeptOut> {
        if self.proven.outranks(&standing.proven) {
            return Ok(());
        }
        if !self.proven.is_of_the_same(&standing.proven) {
            return Err(KeptOut::Anothers);
        }
        if standing.generation > self.generation {
            // It came later and was faster.
            return Err(KeptOut::Newer);
        }
        match self.claim {
            Claim::New => Ok(()),
            Claim::UpTo(generation)
                if standing.instance == self.instance || standing.generation <= generation =>
            {
                Ok(())
            }
            Claim::UpTo(_) => Err(KeptOut::Newer),
        }
    }
}

impl<M: Member> Roster<M> {
    pub(super) fn members(&self) -> &[Arc<M>] {
        &self.members
    }

    /// Whether somebody is about to arrive.
    pub(super) fn awaits(&self) -> bool {
        !self.arriving.is_empty()
    }

    /// An upper bound of what is [expected](Self::expected), at no cost.
    pub(super) fn at_most(&self) -> usize {
        self.members.len().saturating_add(self.arriving.len())
    }

    /// Sessions once everybody who is about to has arrived, with `comer`: one for each name.
    pub(super) fn expected(&self, comer: Option<&ClientKey>) -> usize {
        let live = self.members.iter().map(|member| &member.identity().client);
        let coming = self.arriving.iter().map(|identity| &identity.client);
        let mut names = live.chain(coming).chain(comer).collect::<Vec<_>>();
        names.sort_unstable_by_key(|name| (&name.id, name.replica));
        names.dedup();
        names.len()
    }

    /// Whether `comer` may go on; if so it is [expected](Self::expected) until it
    /// [enters](Self::enter) or is [forgotten](Self::forget).
    pub(super) fn announce(&mut self, comer: &Identity) -> Result<(), KeptOut> {
        self.check(comer)?;
        self.arriving.push(comer.clone());
        Ok(())
    }

    /// Takes a member in, and gives those whose place it takes: they are out.
    pub(super) fn enter(&mut self, member: &Arc<M>) -> Result<Vec<Arc<M>>, KeptOut> {
        let comer = member.identity();
        self.check(comer)?;
        let same = |other: &Arc<M>| other.identity().client == comer.client;
        let superseded = self.members.extract_if(.., |other| same(other)).collect();
        self.members.push(Arc::clone(member));
        Ok(superseded)
    }

    pub(super) fn forget(&mut self, generation: u64) {
        self.arriving.retain(|identity| identity.generation != generation);
    }

    /// Takes the member of this generation out, and no other.
    pub(super) fn leave(&mut self, generation: u64) {
        self.members.retain(|member| member.identity().generation != generation);
    }

    /// Takes everybody out.
    pub(super) fn clear(&mut self) -> std::vec::IntoIter<Arc<M>> {
        self.arriving.clear();
        std::mem::take(&mut self.members).into_iter()
    }

    /// Takes those out that `which` names.
    pub(super) fn take(&mut self, which: impl Fn(&M) -> bool) -> Vec<Arc<M>> {
        self.members.extract_if(.., |member| which(member)).collect()
    }

    /// A member that was closed but not taken out yet counts like any other: its client, or another
    /// with its name, decides.
    fn check(&self, comer: &Identity) -> Result<(), KeptOut> {
        let standing = self.members.iter().map(|member| member.identity());
        let mut same = standing.filter(|it| it.client == comer.client);
        same.try_for_each(|it| comer.replaces(it))
    }
}

#[cfg(test)]
mod tests;
