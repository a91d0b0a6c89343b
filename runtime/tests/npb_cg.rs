//! The benchmark CG of the NAS Parallel Benchmarks on vectors that ranks have as slices, verified by its own criterion: the
//! estimate ζ of an eigenvalue, to 10⁻¹⁰. Written from its description (RNR-94-007, section 2.5): inverse power iteration with 25
//! steps of conjugate gradients each, on a random sparse matrix.
//!
//! The matrix is Σ ωᵢ x xᵀ over n sparse random vectors x, plus (0.1 − λ) on the diagonal; ω falls from 1 to 0.1. A vector has
//! `nonzer` random values at random places (a place beyond n or taken already is drawn again, with its value), and then 0.5 at its
//! own place i. One number is drawn before all. λ is above all eigenvalues of the sum, so the matrix is negative definite; what is
//! solved here is its negative, and z has the other sign.

mod npb;

use npb::Sequence;
use physalia::prelude::*;
use physalia::solve::{Tolerance, Unpreconditioned, conjugate_gradients};

struct Class {
    n: usize,
    nonzer: usize,
    iterations: u64,
    shift: f64,
    zeta: f64,
}

const S: Class = Class { n: 1400, nonzer: 7, iterations: 15, shift: 10.0, zeta: 8.597_177_507_864_8 };
const W: Class = Class { n: 7000, nonzer: 8, iterations: 15, shift: 12.0, zeta: 10.362_595_087_124 };
const A: Class = Class { n: 14_000, nonzer: 11, iterations: 15, shift: 20.0, zeta: 17.130_235_054_029 };

/// Rows of a sparse matrix: columns in ascending order and values, row after row.
struct Rows {
    begins: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f64>,
}

const RCOND: f64 = 0.1;

/// The sparse vector of place `own`.
fn sparse_vector(sequence: &mut Sequence, class: &Class, own: usize) -> Vec<(usize, f64)> {
    let power = class.n.next_power_of_two() as f64;
    let mut entries: Vec<(usize, f64)> = Vec::with_capacity(class.nonzer + 1);
    while entries.len() < class.nonzer {
        let (value, place) = (sequence.draw(), (power * sequence.draw()) as usize);
        if place < class.n && entries.iter().all(|(taken, _)| *taken != place) {
            entries.push((place, value));
        }
    }
    match entries.iter_mut().find(|(place, _)| *place == own) {
        Some((_, value)) => *value = 0.5,
        None => entries.push((own, 0.5)),
    }
    entries
}

/// The rows `mine` of the matrix. Every rank draws all vectors.
fn matrix(class: &Class, mine: std::ops::Range<usize>) -> Rows {
    let mut sequence = Sequence::after(1);
    let ratio = RCOND.powf(1.0 / class.n as f64);
    let mut size = 1.0;
    let mut rows: Vec<Vec<(usize, f64)>> = vec![Vec::new(); mine.len()];
    for own in 0..class.n {
        let entries = sparse_vector(&mut sequence, class, own);
        for &(row, value) in entries.iter().filter(|(row, _)| mine.contains(row)) {
            let scale = size * value;
            for &(column, value) in &entries {
                let diagonal = if row == column && row == own { RCOND - class.shift } else { 0.0 };
                rows[row - mine.start].push((column, value * scale + diagonal));
            }
        }
        size *= ratio;
    }
    let mut matrix = Rows { begins: vec![0], columns: Vec::new(), values: Vec::new() };
    for mut row in rows {
        row.sort_by_key(|(column, _)| *column); // stable, so entries of one place are added in the order of vectors
        for same in row.chunk_by(|a, b| a.0 == b.0) {
            matrix.columns.push(same[0].0);
            matrix.values.push(same.iter().map(|(_, value)| value).sum());
        }
        matrix.begins.push(matrix.columns.len());
    }
    matrix
}

impl Rows {
    fn times(&self, world: &World, p: &[f64], q: &mut [f64]) {
        let chunks = q.chunks_mut(256).enumerate().collect();
        world.each(chunks, |_, (chunk, q): (usize, &mut [f64])| {
            for (row, q) in (chunk * 256..).zip(q) {
                let range = self.begins[row]..self.begins[row + 1];
                let entries = self.columns[range.clone()].iter().zip(&self.values[range]);
                *q = entries.map(|(&column, value)| value * p[column]).sum();
            }
        });
    }
}

/// ζ, and the norm of the last residual.
fn run(class: &'static Class, ranks: u32, threads: usize) -> (f64, f64) {
    let job = Launch::from_env().ranks(ranks).threads(threads).run(move |world| {
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let mine = class.n * rank / size..class.n * (rank + 1) / size;
        let rows = matrix(class, mine.clone());
        let mut x = vec![1.0; mine.len()];
        let (mut zeta, mut residual) = (0.0, 0.0);
        for _ in 0..class.iterations {
            let mut z = vec![0.0; mine.len()];
            let apply = |world: &mut World, p: &mut Vec<f64>, q: &mut Vec<f64>| {
                let whole: Vec<f64> =
                    (0..size).zip(world.all_gather_v(p)?.iter()).flat_map(|(_, p)| p.to_vec()).collect();
                rows.times(world, &whole, q);
                q.iter_mut().for_each(|q| *q = -*q);
                Ok(())
            };
            let never = Tolerance::absolute(0.0);
            let none = None::<Unpreconditioned<Vec<f64>>>;
            residual = conjugate_gradients(world, &x, &mut z, never, 25, apply, none)?.last();
            zeta = class.shift - 1.0 / world.dot(&x, &z)?;
            let norm = world.norm(&z)?;
            x = z.iter().map(|z| -z / norm).collect();
        }
        Ok((zeta, residual))
    });
    let job = job.unwrap();
    assert!(job.iter().all(|rank| *rank == job[0]));
    job[0]
}

fn verified(class: &'static Class, ranks: u32, threads: usize) -> (f64, f64) {
    let (zeta, residual) = run(class, ranks, threads);
    let error = (zeta - class.zeta).abs() / class.zeta;
    assert!(error <= 1e-10, "zeta is {zeta}, published {}: relative error {error:e}", class.zeta);
    (zeta, residual)
}

#[test]
fn class_s_on_any_number_of_ranks() {
    let alone = verified(&S, 1, 1);
    for (ranks, threads) in [(1, 2), (2, 2), (3, 1), (8, 1)] {
        assert_eq!(verified(&S, ranks, threads), alone, "{ranks} ranks, {threads} threads");
    }
}

#[test]
fn class_w() {
    verified(&W, 2, 1);
}

#[test]
#[ignore = "long: make test-long"]
fn class_a() {
    verified(&A, 2, 1);
}
