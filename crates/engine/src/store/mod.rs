//! What was done: results by key, claims on work in progress, and what earlier runs took down.

pub(crate) mod change;
pub(crate) mod claim;
pub(crate) mod clean;
pub(crate) mod description;
pub(crate) mod heartbeat;
pub(crate) mod holder;
pub(crate) mod import;
pub(crate) mod journal;
pub(crate) mod ledger;
pub(crate) mod proof_journal;
pub(crate) mod results;
pub(crate) mod status;
pub(crate) mod watched;
