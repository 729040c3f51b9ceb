//! What lies between the linear layers: norms, activations, rotary positions, attention.

mod activation;
pub mod attention;
pub(crate) mod maths;
mod norm;
pub mod rope;
mod softmax;
#[cfg(test)]
mod tests;

pub use activation::{
    add, add_to_rows, exp, gelu_erf, gelu_erf_mul, gelu_tanh, gelu_tanh_mul, mul, relu, scale, silu, silu_mul, softcap,
    tanh,
};
pub use norm::{layer_norm, rms_norm, rms_norm_in_place};
pub use softmax::{log_sum_exp, softmax};
