//! The JSON of groups and arrays.

use super::super::Kind;

/// The group of a store. The attribute is how a store is known as ours.
pub(super) const GROUP: &str = "{
  \"zarr_format\": 3,
  \"node_type\": \"group\",
  \"attributes\": { \"source\": \"physalia\" }
}
";

/// An array.
pub(super) struct Array {
    pub kind: Kind,
    pub shape: Vec<u64>,
    pub chunk: Vec<u64>,
    pub names: Vec<String>,
}

impl Array {
    /// Of one axis.
    pub(super) fn line(kind: Kind, name: &str, len: u64, chunk: u64) -> Array {
        Array { kind, shape: vec![len], chunk: vec![chunk], names: vec![name.into()] }
    }

    pub(super) fn json(&self) -> String {
        let (kind, bytes) = match self.kind {
            Kind::Float(bytes) => ("float", bytes),
            Kind::Integer(true, bytes) => ("int", bytes),
            Kind::Integer(false, bytes) => ("uint", bytes),
        };
        let order = if bytes == 1 { "" } else { ", \"configuration\": { \"endian\": \"little\" }" };
        let list = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let names: Vec<String> = self.names.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            "{{
  \"zarr_format\": 3,
  \"node_type\": \"array\",
  \"shape\": [{}],
  \"data_type\": \"{kind}{}\",
  \"chunk_grid\": {{ \"name\": \"regular\", \"configuration\": {{ \"chunk_shape\": [{}] }} }},
  \"chunk_key_encoding\": {{ \"name\": \"default\", \"configuration\": {{ \"separator\": \"/\" }} }},
  \"fill_value\": 0,
  \"codecs\": [{{ \"name\": \"bytes\"{order} }}],
  \"dimension_names\": [{}],
  \"attributes\": {{}}
}}
",
            list(&self.shape),
            8 * bytes,
            list(&self.chunk),
            names.join(", ")
        )
    }
}

/// The first number of the shape of an array of ours.
pub(super) fn first_side(json: &str) -> Option<u64> {
    json.split_once("\"shape\": [")?.1.split_once([',', ']'])?.0.parse().ok()
}
