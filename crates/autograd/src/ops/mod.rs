//! The operations, in closed families: every vjp is made of operations that have one themselves.

mod batch_norm;
mod binary;
mod broadcast;
mod conv;
mod example;
mod mask;
mod matmul;
mod pool;
mod shape;
mod softmax;
mod unary;

pub use softmax::cross_entropy_slope;
