//! Values of options that are more than a word or a number.

use crate::args::{count, positive};
use clap::ValueEnum;

/// Cells along each axis.
#[derive(Clone, Debug)]
pub struct Cells(pub Vec<u64>);

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Place(pub Vec<u64>);

/// A number for each axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers(pub Vec<f64>);

/// A choice for each axis, x, y, z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByAxis<E>(pub [E; 3]);

/// `48x40x36`
pub fn cells(text: &str) -> Result<Cells, String> {
    let cells: Vec<u64> = text.split(['x', 'X', '×']).map(count).collect::<Result<_, _>>()?;
    match cells.len() {
        1..=3 if !cells.contains(&0) => Ok(Cells(cells)),
        1..=3 => Err("each axis needs at least one cell".into()),
        n => Err(format!("{n} axes: 1 to 3 are supported")),
    }
}

/// `1024x2048` or `1024x32x32`; what is missing is the whole axis.
pub fn tile(text: &str) -> Result<[usize; 3], String> {
    let Cells(tile) = cells(text)?;
    let along = |a: usize| tile.get(a).map_or(usize::MAX >> 8, |&n| usize::try_from(n).unwrap_or(usize::MAX >> 8));
    Ok([along(0), along(1), along(2)])
}

/// Steps that are fused.
pub fn block(text: &str) -> Result<usize, String> {
    positive(text).map(|n| usize::try_from(n).unwrap_or(usize::MAX).min(1 << 20))
}

fn several(text: &str, between: &[char]) -> Result<Numbers, String> {
    let number = |part: &str| part.trim().parse::<f64>().map_err(|_| format!("{part:?} is no number"));
    let all: Vec<f64> = text.split(between).map(number).collect::<Result<_, _>>()?;
    if all.len() > 3 { Err(format!("{} numbers: one for each axis is wanted", all.len())) } else { Ok(Numbers(all)) }
}

/// `1.5x2`
pub fn numbers(text: &str) -> Result<Numbers, String> {
    several(text, &['x', 'X', '×'])
}

/// `-1,0.5`
pub fn velocity(text: &str) -> Result<Numbers, String> {
    several(text, &[','])
}

/// `10,20,30`
pub fn place(text: &str) -> Result<Place, String> {
    Ok(Place(text.split(',').map(|n| count(n.trim())).collect::<Result<_, _>>()?))
}

/// `periodic`, or `x=periodic,z=neumann`, where other axes have the first kind of all.
pub fn by_axis<E: ValueEnum + Copy>(text: &str) -> Result<ByAxis<E>, String> {
    let kind = |word: &str| {
        E::from_str(word.trim(), false).map_err(|_| {
            let names = E::value_variants().iter().filter_map(|v| Some(v.to_possible_value()?.get_name().to_string()));
            format!("{word:?} is none of {}", names.collect::<Vec<_>>().join(", "))
        })
    };
    if !text.contains('=') {
        return Ok(ByAxis([kind(text)?; 3]));
    }
    let mut all = [E::value_variants()[0]; 3];
    for part in text.split(',') {
        let (axis, word) = part.split_once('=').ok_or_else(|| format!("{part:?}: an axis is wanted, as x=periodic"))?;
        let axis = ["x", "y", "z"].iter().position(|name| *name == axis.trim());
        all[axis.ok_or_else(|| format!("{part:?}: the axes are x, y and z"))?] = kind(word)?;
    }
    Ok(ByAxis(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choices::HeatEnd;

    #[test]
    fn cells_numbers_and_boundaries() {
        assert_eq!(cells("48x40x36").unwrap().0, [48, 40, 36]);
        for bad in ["", "0x3", "1x2x3x4", "12x", "axb"] {
            assert!(cells(bad).is_err(), "{bad}");
        }
        assert_eq!((tile("64x32").unwrap()[..2].to_vec(), block("8")), (vec![64, 32], Ok(8)));
        assert_eq!((numbers("1.5x2").unwrap().0, velocity("-1,0.5").unwrap().0), (vec![1.5, 2.0], vec![-1.0, 0.5]));
        assert_eq!(place("3,4").unwrap().0, [3, 4]);
        for bad in ["", "1x", "1x2x3x4", "ax1"] {
            assert!(numbers(bad).is_err(), "{bad}");
        }
        let all = |text| by_axis::<HeatEnd>(text).map(|ends| ends.0);
        assert_eq!(all("neumann"), Ok([HeatEnd::Neumann; 3]));
        assert_eq!(all("x=periodic,z=neumann"), Ok([HeatEnd::Periodic, HeatEnd::Dirichlet, HeatEnd::Neumann]));
        for bad in ["", "open", "w=periodic", "x=open", "x=periodic,neumann"] {
            assert!(all(bad).is_err(), "{bad}");
        }
        assert!(all("open").unwrap_err().contains("dirichlet, neumann, periodic"));
    }
}
