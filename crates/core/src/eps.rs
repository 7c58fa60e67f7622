//! The budget ε, kept as the user wrote it.

// Eps: `"8/255"`, `"0.3"`; parse + Display round-trip the text exactly; value in f64; Ord by value; serde as string.
