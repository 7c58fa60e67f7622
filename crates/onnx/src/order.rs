//! The nodes that the output depends on, in an order in which they can be computed.

use crate::proto::NodeProto;
use std::collections::HashMap;

/// Which nodes compute `output`, those first that others read. `given` says what is there without them.
///
/// # Errors
/// A value that nothing computes, two nodes that compute one, or nodes that wait for one another in a circle.
pub(crate) fn order(nodes: &[NodeProto], output: &str, given: impl Fn(&str) -> bool) -> Result<Vec<usize>, String> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if given(name) || makers.insert(name, i).is_some() {
                return Err(format!("the value {name:?} is made twice: no ONNX file"));
            }
        }
    }
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; nodes.len()];
    let mut ordered = Vec::new();
    // Depth first, without recursion: a node is visited, then what it reads, then it is done.
    let mut open: Vec<(usize, bool)> = makers.get(output).map(|i| (*i, false)).into_iter().collect();
    while let Some((i, read)) = open.pop() {
        if read {
            states[i] = State::Done;
            ordered.push(i);
            continue;
        }
        match states[i] {
            State::Done => continue,
            State::Open => {
                return Err(format!("the nodes around {:?} wait for one another in a circle", name(&nodes[i])));
            }
            State::New => {}
        }
        states[i] = State::Open;
        open.push((i, true));
        for input in nodes[i].input.iter().rev().filter(|name| !name.is_empty()) {
            match makers.get(input.as_str()) {
                Some(maker) if states[*maker] == State::Open => {
                    return Err(format!("the nodes around {:?} wait for one another in a circle", name(&nodes[i])));
                }
                Some(maker) => open.push((*maker, false)),
                None if given(input) => {}
                None => return Err(format!("node {:?} reads {input:?}, which nothing makes", name(&nodes[i]))),
            }
        }
    }
    Ok(ordered)
}

/// What errors call a node: its name, or that of its first output.
pub(crate) fn name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}
