//! A program that runs beside us: a line in, a line out, within a time.

use candle_core::Tensor;
use gauntlet_core::{Answers, Error, Precision, Result};
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is kept of the program's standard error, to be shown when it fails.
const LAST_WORDS: usize = 2048;
/// How long a program may take to end once its standard input is closed.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of a number in an answer at most, with what separates it from the next, and of all that is around the numbers.
const NUMBER: usize = 32;
const AROUND: usize = 65_536;

/// A line to write, and how long its answer may be.
type Question = (String, usize);
type LastWords = Arc<Mutex<VecDeque<u8>>>;

/// A program that was started. Dropping it closes its standard input and, where that does not end it, kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// As it was called, for errors.
    called: String,
    /// `None` once the program shall end.
    questions: Option<Sender<Question>>,
    answers: Receiver<std::io::Result<String>>,
    last_words: LastWords,
    asked: u64,
}

impl Process {
    /// Starts it in the working directory.
    ///
    /// # Errors
    /// A program that is not there or may not be started.
    pub(super) fn start(command: &[String]) -> Result<Self> {
        let called = command.join(" ");
        let failed = |why: String| Error::Message(format!("command: `{called}` cannot be started: {why}"));
        let (program, arguments) = command.split_first().ok_or_else(|| failed("it names no program".into()))?;
        let mut child = std::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else { return Err(failed("it has no pipes".into())) };
        let (questions, asked) = channel();
        let (answered, answers) = channel();
        let last_words = LastWords::default();
        let heard = last_words.clone();
        // Both write and read may block for as long as the program likes; whoever asks waits for the channel, and only so long.
        std::thread::spawn(move || converse((stdin, stdout), &asked, &answered));
        std::thread::spawn(move || listen(stderr, &heard));
        Ok(Process { child, called, questions: Some(questions), answers, last_words, asked: 0 })
    }

    /// The answer to images `(N, C, H, W)` on the CPU: N rows of K logits. Of labels, 1 for the class and 0 for the others.
    ///
    /// # Errors
    /// A program that ended, takes longer than `timeout`, or answers with something else than N rows; what it said last on its
    /// standard error is in the text.
    pub(super) fn ask(
        &mut self,
        images: &Tensor,
        answers: Answers,
        classes: usize,
        timeout: Duration,
    ) -> Result<Vec<f64>> {
        let n = images.dim(0)?;
        let id = self.asked;
        self.asked += 1;
        let longest = AROUND + NUMBER * n * if answers == Answers::Labels { 1 } else { classes };
        let question = question(id, images)?;
        let gone = || RecvTimeoutError::Disconnected;
        let sent = self.questions.as_ref().is_some_and(|q| q.send((question, longest)).is_ok());
        let line = if sent { self.answers.recv_timeout(timeout) } else { Err(gone()) };
        let read = match line {
            Ok(Ok(line)) => read(&line, id, (n, classes), answers),
            // Said too much: that it ended then, since nobody reads on, is no cause.
            Ok(Err(error)) if error.kind() == ErrorKind::InvalidData => Err(error.to_string()),
            Ok(Err(error)) => Err(self.ended().map_or(error.to_string(), |how| format!("{how} before it answered"))),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("did not answer within {} s (`timeout`)", timeout.as_secs_f64()))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(self.ended().map_or("no longer answers".to_string(), |how| format!("{how} before it answered")))
            }
        };
        read.map_err(|why| {
            let told = self.told();
            Error::Message(format!("command: `{}` {why}{told}", self.called))
        })
    }

    /// How the program ended, where it did; one that closed its output is given a moment to.
    fn ended(&mut self) -> Option<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(format!("ended ({status})")),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                _ => return None,
            }
        }
    }

    /// The last lines that it wrote to its standard error.
    fn told(&self) -> String {
        let held = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = held.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(5)..];
        let shown: String = last.join(" | ").chars().filter(|c| !c.is_control()).collect();
        if shown.is_empty() { String::new() } else { format!("; it wrote: {shown}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The thread that writes ends, and with it the program's standard input.
        self.questions = None;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // It may have ended by itself meanwhile: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes questions and reads answers, until one of both ends.
fn converse(
    (mut stdin, stdout): (ChildStdin, ChildStdout),
    asked: &Receiver<Question>,
    answered: &Sender<std::io::Result<String>>,
) {
    let mut stdout = BufReader::new(stdout);
    while let Ok((question, longest)) = asked.recv() {
        let answer = stdin
            .write_all(question.as_bytes())
            .and_then(|()| stdin.flush())
            .and_then(|()| line_of(&mut stdout, longest));
        let failed = answer.is_err();
        if answered.send(answer).is_err() || failed {
            return;
        }
    }
}

/// One line of at most so many bytes.
fn line_of(stdout: &mut BufReader<ChildStdout>, longest: usize) -> std::io::Result<String> {
    let mut line = Vec::new();
    stdout.by_ref().take(longest as u64 + 1).read_until(b'\n', &mut line)?;
    let wrong = |why: String| std::io::Error::new(ErrorKind::InvalidData, why);
    let ended = |why: &str| std::io::Error::new(ErrorKind::UnexpectedEof, why);
    match line.last() {
        None => Err(ended("closed its standard output before it answered")),
        Some(b'\n') => String::from_utf8(line).map_err(|_| wrong("answered with bytes that are no text".into())),
        Some(_) if line.len() > longest => Err(wrong(format!("answered with a line of more than {longest} bytes"))),
        Some(_) => Err(ended("closed its standard output in the middle of its answer")),
    }
}

/// Keeps the end of what the program writes to its standard error.
fn listen(mut stderr: ChildStderr, heard: &LastWords) {
    let mut bytes = [0; 1024];
    while let Ok(n) = stderr.read(&mut bytes) {
        if n == 0 {
            return;
        }
        let mut held = heard.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(&bytes[..n]);
        let over = held.len().saturating_sub(LAST_WORDS);
        held.drain(..over);
    }
}

/// `{"id": 0, "shape": [N, C, H, W], "images": [[...], ...]}`, a row of C·H·W pixels for each image. Every pixel is written so that it is
/// read back as it was.
fn question(id: u64, images: &Tensor) -> Result<String> {
    let dims = images.dims();
    let rows = images.flatten_from(1)?;
    let mut line = format!("{{\"id\": {id}, \"shape\": {dims:?}, \"images\": [");
    for n in 0..images.dim(0)? {
        line.push_str(if n > 0 { ", [" } else { "[" });
        let row = rows.get(n)?;
        match Precision::of(&row)? {
            Precision::F64 => numbers(&mut line, &row.to_vec1::<f64>()?),
            Precision::F32 => numbers(&mut line, &row.to_vec1::<f32>()?),
        }
        line.push(']');
    }
    line.push_str("]}\n");
    Ok(line)
}

fn numbers<T: std::fmt::Display>(line: &mut String, values: &[T]) {
    for (i, value) in values.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(line, "{}{value}", if i > 0 { ", " } else { "" });
    }
}

/// The rows of an answer.
fn read(line: &str, id: u64, (n, classes): (usize, usize), answers: Answers) -> std::result::Result<Vec<f64>, String> {
    let shown = || line.trim().chars().take(80).filter(|c| !c.is_control()).collect::<String>();
    let value: Value = serde_json::from_str(line).map_err(|error| {
        if ["NaN", "Infinity"].iter().any(|word| line.contains(word)) {
            return format!("answered with numbers that are not finite: {}", shown());
        }
        format!("answered with what is no JSON ({error}): {}", shown())
    })?;
    if let Some(why) = value.get("error") {
        return Err(format!(
            "answered with an error: {}",
            why.as_str().map_or_else(|| why.to_string(), str::to_string)
        ));
    }
    if value.get("id").and_then(Value::as_u64) != Some(id) {
        return Err(format!("answered another question than the one with \"id\": {id}: {}", shown()));
    }
    let (key, other, setting) = match answers {
        Answers::Labels => ("labels", "logits", "answers = \"logits\""),
        _ => ("logits", "labels", "answers = \"labels\""),
    };
    let Some(rows) = value.get(key).and_then(Value::as_array) else {
        let hint =
            if value.get(other).is_some() { format!("; it has \"{other}\": write {setting}") } else { String::new() };
        return Err(format!("answered without a list \"{key}\"{hint}: {}", shown()));
    };
    if rows.len() != n {
        return Err(format!("answered {} {key} to {n} images", rows.len()));
    }
    let mut found = Vec::with_capacity(n * classes);
    for (i, row) in rows.iter().enumerate() {
        if answers == Answers::Labels {
            let class = row.as_u64().filter(|class| *class < classes as u64).ok_or_else(|| {
                format!("answered {row} to image {i} of the batch: a label is a whole number from 0 to {}", classes - 1)
            })?;
            found.extend((0..classes as u64).map(|k| if k == class { 1.0 } else { 0.0 }));
            continue;
        }
        let row = row.as_array().filter(|row| row.len() == classes);
        let row = row.ok_or_else(|| format!("answered no row of {classes} logits to image {i} of the batch"))?;
        for z in row {
            let z = z.as_f64().filter(|z| z.is_finite());
            found
                .push(z.ok_or_else(|| format!("answered a logit to image {i} of the batch that is no finite number"))?);
        }
    }
    Ok(found)
}
