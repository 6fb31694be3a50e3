//! (being written)
pub mod tokenizer;
