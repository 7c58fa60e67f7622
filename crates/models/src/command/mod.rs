//! Any program as a model: it reads images from its standard input, a line of JSON for each batch, and writes its answers to its
//! standard output. What the program is written in, and where its network runs, is its own business.

mod process;

use candle_core::{Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_core::params::Init;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{
    Activation, Answers, Args, Error, Mode, ModelInfo, Network, ParamDoc, ParamKind, ParamSpec, Params, Pass, Range,
    Result, Spec, Weights,
};
use process::Process;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What stands where the weights of a network would: the sum of the files that the command names.
const PROGRAM: &str = "program.sha256";

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: Command::NAME,
    summary: "any program: images to its standard input, answers from its standard output, lines of JSON",
    formula: "",
    paper: "-",
    params: &[
        ParamDoc {
            name: "command",
            kind: ParamKind::Texts,
            default: "",
            unit: "",
            doc: "the program and its arguments, started in the working directory, without a shell",
        },
        ParamDoc {
            name: "answers",
            kind: ParamKind::Choice(&["labels", "logits"]),
            default: "\"labels\"",
            unit: "",
            doc: "what it tells of an image: its class, which attacks by decisions need, or its logits",
        },
        ParamDoc {
            name: "batch",
            kind: ParamKind::COUNT,
            default: "256",
            unit: "images",
            doc: "images of one line at most",
        },
        ParamDoc {
            name: "timeout",
            kind: ParamKind::Float(Range::POSITIVE.at_most(1e6)),
            default: "60",
            unit: "s",
            doc: "how long an answer, the first with the program's start, may take",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Command::new(args, task.input, task.classes)?)),
};

/// A program that classifies images; it is started when it is asked first, and ended with this.
#[derive(Debug)]
pub struct Command {
    info: ModelInfo,
    answers: Answers,
    command: Vec<String>,
    batch: usize,
    timeout: Duration,
    own: Weights,
    notes: Vec<String>,
    process: Mutex<Option<Process>>,
}

impl Command {
    /// As suites call it.
    pub const NAME: &str = "command";

    fn new(args: &Args, input: (usize, usize, usize), classes: usize) -> Result<Self> {
        let wrong = |why: &str| Error::value("command.command", why.to_string());
        let command: Vec<String> = args.strs("command")?.into_iter().map(str::to_string).collect();
        if command.first().is_none_or(String::is_empty) {
            return Err(wrong("names no program"));
        }
        if command.iter().any(|word| word.contains('\0')) {
            return Err(wrong("holds a zero byte"));
        }
        let answers = match args.str("answers")? {
            "logits" => Answers::Logits,
            _ => Answers::Labels,
        };
        let timeout = Duration::try_from_secs_f64(args.f64("timeout")?)
            .map_err(|why| Error::value("command.timeout", why.to_string()))?;
        let (own, files) = program(&command)?;
        let said = match files {
            0 => "none of its words is a file here, so nothing tells when the program changes: use another store then"
                .into(),
            n => format!("{n} of its words are files here, whose bytes are part of every key"),
        };
        Ok(Command {
            // What is inside the program is not known; nothing that attacks a network reads its activation.
            info: ModelInfo {
                name: SPEC.name.to_string(),
                input,
                classes,
                activation: Activation::Relu,
                mean: Vec::new(),
                std: Vec::new(),
                numerics: SPEC.numerics,
            },
            answers,
            notes: vec![format!("command: `{}` is started and asked; {said}", command.join(" "))],
            command,
            batch: args.usize("batch")?,
            timeout,
            own,
            process: Mutex::new(None),
        })
    }

    /// The answers to images `(N, C, H, W)`, N rows of K numbers.
    fn ask(&self, images: &Tensor) -> Result<Vec<f64>> {
        let mut held = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers = Vec::with_capacity(images.dim(0)? * self.info.classes);
        for first in (0..images.dim(0)?).step_by(self.batch) {
            let part = images.narrow(0, first, self.batch.min(images.dim(0)? - first))?;
            // One that failed is not asked again; another is started if somebody goes on.
            let mut process = match held.take() {
                Some(process) => process,
                None => Process::start(&self.command)?,
            };
            answers.extend(process.ask(&part, self.answers, self.info.classes, self.timeout)?);
            *held = Some(process);
        }
        Ok(answers)
    }
}

/// The sum of all regular files that the command names, a number for each of its 32 bytes, and how many there are. A program that is
/// found by the search path counts as a word: interpreters change without a change of the model.
fn program(command: &[String]) -> Result<(Weights, usize)> {
    let (mut sum, mut files) = (Sha256::new(), 0);
    for word in command {
        sum.update((word.len() as u64).to_le_bytes());
        sum.update(word.as_bytes());
        let path = Path::new(word);
        if path.is_file() {
            let told = |error: std::io::Error| Error::Message(format!("command: {word}: {error}"));
            let mut file = std::fs::File::open(path).map_err(told)?;
            std::io::copy(&mut file, &mut sum).map_err(told)?;
            files += 1;
        }
    }
    let bytes: Vec<f32> = sum.finalize().iter().map(|byte| f32::from(*byte)).collect();
    let sum = Tensor::from_vec(bytes, 32, &Device::Cpu)?;
    Ok((Weights::from_entries([(PROGRAM.to_string(), sum, false)]), files))
}

impl Network for Command {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        vec![ParamSpec { name: PROGRAM.to_string(), shape: vec![32], init: Init::Constant(0.0), trainable: false }]
    }
    fn own_weights(&self) -> Option<&Weights> {
        Some(&self.own)
    }
    fn notes(&self) -> &[String] {
        &self.notes
    }
    fn answers(&self) -> Answers {
        self.answers
    }
    fn lasts(&self) -> bool {
        false
    }
    fn forward(&self, _: &Params, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        if pass.mode == Mode::Train {
            return Err(Error::Message("command: a program behind a pipe cannot be trained".into()));
        }
        if x.id().is_some() {
            return Err(Error::Message("command: a program behind a pipe has no gradients".into()));
        }
        let images = x.tensor();
        let (n, c, h, w) = images.dims4()?;
        if (c, h, w) != self.info.input {
            return Err(Error::value(
                "images",
                format!("must be {:?} (C, H, W), got {:?}", self.info.input, (c, h, w)),
            ));
        }
        let answers = self.ask(&images.to_device(&Device::Cpu)?)?;
        let logits = Tensor::from_vec(answers, (n, self.info.classes), &Device::Cpu)?;
        Ok(Var::constant(logits.to_dtype(images.dtype())?.to_device(images.device())?))
    }
}
