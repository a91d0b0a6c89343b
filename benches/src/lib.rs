//! Empty until its parts come.
