//! Counting k-mers of sequencing reads and genomes over ranks and workers.
//!
//! The way of a read: [`input`] finds files and their formats → [`parts`] cuts them into units that are dealt out to ranks →
//! [`reader`] reads a unit, by way of [`stream`] if it is a whole file → [`parse`] turns its bytes into letters, strictly, as
//! [`refuse`] says → [`kmer`] slides a window over them and gives canonical k-mers → [`mod@count`] sends each k-mer to the
//! rank that owns it, in bounded rounds, where a [`table`] counts it → [`dump`] writes what was counted.
//!
//! A k-mer and its reverse complement are one: the *canonical* one is the smaller in the order A < C < G < T. Windows with
//! any other letter are skipped; case does not matter.

pub mod count;
pub mod dump;
mod fastq;
pub mod input;
pub mod kmer;
mod lines;
pub mod parse;
pub mod parts;
pub mod reader;
pub mod refuse;
pub mod stream;
pub mod table;
#[cfg(test)]
mod texts;

pub use count::{Options, Summary, count};
