//! `gauntlet run --jobs`: processes that share one store, and with it the work.

use crate::arguments::Run;
use crate::exit::to_stderr;
use crate::exit::{Code, Failure};
use crate::session::Session;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often the parent looks whether it was interrupted.
const LOOK: Duration = Duration::from_millis(100);

/// Has `count` processes work on the suite until nothing is left for them. What one that died leaves undone, the others
/// take up or the caller, which goes through the suite once more.
///
/// A worker's input is a pipe that nothing is written to: when it closes, because this process was interrupted or killed,
/// the worker saves what it has and ends.
pub(super) fn work(
    session: &Session,
    arguments: &Run,
    count: usize,
    since: &str,
    interrupt: &AtomicBool,
) -> Result<(), Failure> {
    let threads = (rayon::current_num_threads() / count.max(1)).max(1);
    let (send, ended) = channel();
    let mut pipes = Vec::new();
    for number in 1..=count {
        let mut child = start(session, arguments, threads, since)?;
        pipes.push(child.stdin.take());
        let (send, quiet) = (send.clone(), session.global.quiet);
        std::thread::spawn(move || {
            if let Some(lines) = child.stderr.take() {
                for line in BufReader::new(lines).lines().map_while(Result::ok).filter(|_| !quiet) {
                    to_stderr(format_args!("[{number}] {line}"));
                }
            }
            let _ = send.send((number, child.id(), child.wait()));
        });
    }
    drop(send);
    loop {
        match ended.recv_timeout(LOOK) {
            Ok((number, pid, Ok(status))) if !as_expected(status) => session.say(format!(
                "worker {number} (pid {pid}) ended with {status}; what it was at is taken up by the others or at the end"
            )),
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupt.load(Ordering::Relaxed) {
            pipes.clear();
        }
    }
    if interrupt.load(Ordering::Relaxed) {
        return Err(gauntlet::engine::Error::Interrupted.into());
    }
    Ok(())
}

fn start(session: &Session, arguments: &Run, threads: usize, since: &str) -> Result<Child, Failure> {
    let fail = |e: std::io::Error| Failure::new(Code::Environment, format!("cannot start a worker process: {e}"));
    let mut command = Command::new(std::env::current_exe().map_err(fail)?);
    command.args(arguments.words()).args(arguments.choice()).args(["--worker", since]);
    command.args(["--threads", &threads.to_string(), "--device", &session.global.device.to_string()]);
    if session.global.tf32 {
        command.arg("--tf32");
    }
    if session.global.quiet {
        command.arg("--quiet");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(fail)
}

/// Done, or done with parts that failed, which the report tells.
fn as_expected(status: ExitStatus) -> bool {
    status.code().is_some_and(|c| [Code::Done, Code::Parts, Code::Interrupted].iter().any(|k| *k as i32 == c))
}
