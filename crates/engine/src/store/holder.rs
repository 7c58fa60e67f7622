//! Who holds a claim.

use serde::{Deserialize, Serialize};

/// Who holds a claim, as its lock file tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the machine.
    pub host: String,
    /// Process.
    pub pid: u32,
    /// RFC 3339 in UTC.
    pub since: String,
}
