//! One file per command.

pub(crate) mod attack;
pub(crate) mod bench;
pub(crate) mod certify;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod help;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod leaderboard;
pub(crate) mod list;
pub(crate) mod new;
pub(crate) mod property;
pub(crate) mod registration;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod train;
pub(crate) mod verify;
pub(crate) mod watch;
