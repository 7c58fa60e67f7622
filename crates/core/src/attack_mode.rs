//! The mode of attacks inside recipes.

/// What batch norm and dropout do in the forwards of an attack inside a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttackMode {
    /// Running statistics, no dropout (TRADES, MART).
    Eval,
    /// The batch's statistics; the running ones stay where they are.
    Train,
    /// The batch's statistics, and every forward of the attack moves the running ones, as in the published code of
    /// Wong et al. and Rice et al.
    TrainMoving,
}
