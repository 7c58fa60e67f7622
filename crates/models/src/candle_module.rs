//! Models of other people: any `Module`, `ModuleT` or closure over candle tensors, attacked as it is.
//!
//! The only place where candle's own `backward` is used: a foreign module has no other derivative. Its known defects
//! (the gradient of `max_pool2d`, layers that cut the graph, relu'(0) = 1) become the model's; the engine's gradient
//! check measures them against finite differences and raises a flag.

use candle_core::{Module, ModuleT, Tensor, Var};
use gauntlet_core::{Activation, Error, Linear, ModelInfo, Result, Target};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

type Forward = dyn Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync;

/// A target made of somebody's forward pass, in eval mode: pixels `(N, C, H, W)` in `[0, 1]` to logits `(N, K)`.
///
/// The forward must treat every example by itself. candle's matrix product picks its kernel by the whole shape, so the
/// last bits of an example's logits may depend on the size of its batch unless [`CandleModule::in_blocks`] fixes it.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use gauntlet_core::Target;
/// use gauntlet_models::CandleModule;
/// let weight = Tensor::new(&[[1.0f32, -1.0], [0.5, 2.0]], &Device::Cpu)?;
/// let model = CandleModule::new("mine", (1, 1, 2), 2, move |x| x.flatten_from(1)?.matmul(&weight.t()?));
/// let x = Tensor::new(&[[[[0.2f32, 0.4]]]], &Device::Cpu)?;
/// let linear = model.linearise(&x)?;
/// let second = Tensor::new(&[[0.0f32, 1.0]], &Device::Cpu)?;
/// assert_eq!(linear.pull(&second)?.flatten_all()?.to_vec1::<f32>()?, [0.5, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CandleModule {
    info: ModelInfo,
    forward: Arc<Forward>,
    block: Option<NonZeroUsize>,
}

impl CandleModule {
    /// From a closure. `input` is (C, H, W), `classes` is K.
    pub fn new(
        name: &str,
        input: (usize, usize, usize),
        classes: usize,
        forward: impl Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        let info = ModelInfo {
            name: name.to_string(),
            input,
            classes,
            // What is inside a foreign module is not known; nothing that attacks a target reads these.
            activation: Activation::Relu,
            mean: Vec::new(),
            std: Vec::new(),
            numerics: 1,
        };
        CandleModule { info, forward: Arc::new(forward), block: None }
    }

    /// From a `candle_nn::Module`.
    pub fn of_module(
        name: &str,
        input: (usize, usize, usize),
        classes: usize,
        module: impl Module + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, input, classes, move |x| module.forward(x))
    }

    /// From a `candle_nn::ModuleT`, in eval mode (`train = false`).
    pub fn of_module_t(
        name: &str,
        input: (usize, usize, usize),
        classes: usize,
        module: impl ModuleT + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, input, classes, move |x| module.forward_t(x, false))
    }

    /// From a module that is bound to its thread, such as `candle_nn::Sequential`: `build` makes it on a thread of its
    /// own, where all its forwards run.
    ///
    /// # Errors
    /// What `build` says; a thread that cannot be started.
    pub fn built_by<M: ModuleT + 'static>(
        name: &str,
        input: (usize, usize, usize),
        classes: usize,
        build: impl FnOnce() -> candle_core::Result<M> + Send + 'static,
    ) -> Result<Self> {
        let (ask, asked) = channel::<Question>();
        let (ready, built) = channel();
        let serve = move || match build() {
            Ok(module) => {
                let _ = ready.send(Ok(()));
                answer(&asked, &module);
            }
            Err(e) => {
                let _ = ready.send(Err(e));
            }
        };
        let gone = |e: String| Error::Message(format!("the thread of model {name} could not build it: {e}"));
        std::thread::Builder::new().name(name.replace('\0', " ")).spawn(serve).map_err(|e| gone(e.to_string()))?;
        built.recv().map_err(|e| gone(e.to_string()))??;
        let ask = Mutex::new(ask);
        Ok(Self::new(name, input, classes, move |x| {
            let lost = || candle_core::Error::Msg("the thread of the model has died".into());
            let (reply, answer) = channel();
            let question = Question { x: x.clone(), reply };
            ask.lock().unwrap_or_else(PoisonError::into_inner).send(question).map_err(|_| lost())?;
            answer.recv().map_err(|_| lost())?
        }))
    }

    /// Evaluates batches in blocks of exactly `n` images, the last one padded: an example's bits then no longer depend
    /// on how many others there are.
    #[must_use]
    pub fn in_blocks(mut self, n: NonZeroUsize) -> Self {
        self.block = Some(n);
        self
    }

    /// Logits `(n, K)` of one block.
    fn block(&self, x: &Tensor) -> Result<Tensor> {
        let z = (self.forward)(x)?;
        let wanted = [x.dim(0)?, self.info.classes];
        if z.dims() != wanted || !z.dtype().is_float() {
            let why = format!("answers {:?} of type {}, logits are floats {wanted:?}", z.dims(), z.dtype().as_str());
            return Err(Error::value(self.info.name.clone(), why));
        }
        Ok(z)
    }

    /// The batch in blocks, and how many images of each count.
    fn blocks(&self, x: &Tensor) -> Result<Vec<(Tensor, usize)>> {
        let (c, h, w) = self.info.input;
        if x.dims().len() != 4 || x.dims()[1..] != [c, h, w] {
            let why = format!("expects images (N, {c}, {h}, {w}), got {:?}", x.dims());
            return Err(Error::value(self.info.name.clone(), why));
        }
        let n = x.dim(0)?;
        let Some(size) = self.block.map(NonZeroUsize::get) else { return Ok(vec![(x.clone(), n)]) };
        (0..n)
            .step_by(size)
            .map(|start| {
                let taken = size.min(n - start);
                let piece = x.narrow(0, start, taken)?;
                if taken == size {
                    return Ok((piece.contiguous()?, taken));
                }
                // Copies of a real image: whatever the model makes of black, padding makes it no different.
                let rest = piece.narrow(0, taken - 1, 1)?.repeat((size - taken, 1, 1, 1))?;
                Ok((Tensor::cat(&[&piece, &rest], 0)?.contiguous()?, taken))
            })
            .collect()
    }
}

impl Target for CandleModule {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let blocks = self.blocks(x)?.into_iter().map(|(x, taken)| Ok(self.block(&x)?.detach().narrow(0, 0, taken)?));
        together(blocks.collect::<Result<Vec<_>>>()?)
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        let blocks = self.blocks(x)?.into_iter().map(|(x, taken)| {
            let x = Var::from_tensor(&x.detach())?;
            let z = self.block(x.as_tensor())?;
            Ok(Taped { x, z, taken })
        });
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        let logits: Result<Vec<_>> = blocks.iter().map(|b| Ok(b.z.detach().narrow(0, 0, b.taken)?)).collect();
        Ok(Box::new(Blocks { logits: together(logits?)?, blocks }))
    }
}

fn together(mut parts: Vec<Tensor>) -> Result<Tensor> {
    Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(&parts, 0)? })
}

/// A block's forward with candle's graph.
struct Taped {
    x: Var,
    z: Tensor,
    taken: usize,
}

struct Blocks {
    logits: Tensor,
    blocks: Vec<Taped>,
}

impl Linear for Blocks {
    fn logits(&self) -> &Tensor {
        &self.logits
    }
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor> {
        let mut start = 0;
        let pulls = self.blocks.iter().map(|block| {
            let rows = cotangent.narrow(0, start, block.taken)?;
            start += block.taken;
            block.pull(&rows)
        });
        together(pulls.collect::<Result<Vec<_>>>()?)
    }
}

impl Taped {
    #[expect(clippy::disallowed_methods, reason = "a foreign module has no derivative but candle's")]
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor> {
        let (size, classes) = self.z.dims2()?;
        let mut rows = cotangent.to_device(self.z.device())?.to_dtype(self.z.dtype())?;
        if self.taken < size {
            let padding = Tensor::zeros((size - self.taken, classes), rows.dtype(), rows.device())?;
            rows = Tensor::cat(&[&rows, &padding], 0)?;
        }
        let gradients = (&self.z * &rows)?.sum_all()?.backward()?;
        let g = match gradients.get(self.x.as_tensor()) {
            // Detached: CANDLE_GRAD_DO_NOT_DETACH would have it hold on to the graph.
            Some(g) => g.detach(),
            // The graph is cut on the way. What candle knows is zero, and the gradient check says so.
            None => self.x.as_tensor().zeros_like()?,
        };
        Ok(g.narrow(0, 0, self.taken)?)
    }
}

/// A forward that is asked of the module's own thread.
struct Question {
    x: Tensor,
    reply: Sender<candle_core::Result<Tensor>>,
}

fn answer(asked: &Receiver<Question>, module: &impl ModuleT) {
    for Question { x, reply } in asked {
        let _ = reply.send(module.forward_t(&x, false));
    }
}
