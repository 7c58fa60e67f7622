//! What scripts can call.

mod binder;
mod constants;
mod elementwise;
mod layers;
mod numbers;
mod reductions;
mod shapes;
mod step;
mod values;

pub use binder::Bound;
pub(crate) use step::StepHandle;

use binder::Binder;
use gauntlet_autograd::Var;
use gauntlet_core::Term;
use rhai::Engine;

/// Binds everything.
pub(crate) fn bind(engine: &mut Engine) -> Vec<Bound> {
    engine.register_type_with_name::<Var>("Var");
    engine.register_type_with_name::<StepHandle>("Step");
    engine.register_type_with_name::<step::Labels>("Labels");
    engine.register_type_with_name::<Term>("Term");
    let mut binder = Binder { engine, bound: Vec::new() };
    step::bind(&mut binder);
    reductions::bind(&mut binder);
    elementwise::bind(&mut binder);
    shapes::bind(&mut binder);
    layers::bind(&mut binder);
    constants::bind(&mut binder);
    numbers::bind(&mut binder);
    binder.bound
}
