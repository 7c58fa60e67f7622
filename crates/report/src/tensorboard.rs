//! A training's course as an event file of TensorBoard.
//!
//! A file of records, each its length, the masked CRC-32C of the length, a message `Event`, the masked CRC-32C of the message
//! (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto).

use gauntlet_records::Course;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The bytes of the file, in the order of time, so that what a training says next stands at the end: `loss/*` by steps, `accuracy/*`, `gradient/*` and `alignment` at the ends of epochs; the step is that of
/// the whole training.
pub fn events(course: &Course) -> Vec<u8> {
    let mut out = Vec::new();
    let version = Some("brain.Event:2".to_string());
    record(&mut out, &Event { wall_time: course.since.0, step: 0, file_version: version, summary: None });
    let mut told: Vec<Event> = Vec::new();
    let mut put = |wall_time: f64, step: u64, values: Vec<(String, f64)>| {
        let value = values.into_iter().map(|(tag, value)| Value { tag, simple_value: Some(value as f32) }).collect();
        let summary = Some(Summary { value });
        told.push(Event { wall_time, step: step as i64, file_version: None, summary });
    };
    for moment in &course.moments {
        let terms = moment.terms.iter().map(|(name, value)| (format!("loss/{name}"), *value));
        let total = std::iter::once(("loss/total".to_string(), moment.loss));
        put(moment.time, moment.done, total.chain(terms).collect());
    }
    for (time, epoch) in &course.curve {
        let values = [
            ("accuracy/clean", Some(epoch.clean_accuracy)),
            ("accuracy/quick-attack", Some(epoch.robust_accuracy)),
            ("accuracy/own-fgsm", epoch.own_fgsm_accuracy),
            ("accuracy/own-pgd", epoch.own_pgd_accuracy),
            ("gradient/l1", Some(epoch.gradient_l1)),
            ("gradient/l2", Some(epoch.gradient_l2)),
            ("alignment", epoch.alignment),
        ];
        let told = values.into_iter().filter_map(|(tag, value)| Some((tag.to_string(), value?))).collect();
        put(*time, u64::from(epoch.epoch) * u64::from(course.steps), told);
    }
    told.sort_by(|a, b| a.wall_time.total_cmp(&b.wall_time));
    told.iter().for_each(|event| record(&mut out, event));
    out
}

fn record(out: &mut Vec<u8>, event: &Event) {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked(&length).to_le_bytes());
    out.extend(&data);
    out.extend(masked(&data).to_le_bytes());
}

/// TensorFlow's mask: a sum that is itself summed should not be trivial.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_records::course::Moment;
    use gauntlet_records::record::Epoch;
    use std::collections::BTreeMap;

    fn read(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let sum = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            assert_eq!((sum(8), sum(12 + length)), (masked(&bytes[..8]), masked(&bytes[12..12 + length])));
            events.push(Event::decode(&bytes[12..12 + length]).unwrap());
            bytes = &bytes[16 + length..];
        }
        events
    }

    #[test]
    fn the_first_record_is_that_of_tensorflow() {
        // `Event(file_version="brain.Event:2", wall_time=0)` as TensorFlow's writer stores it: 15 bytes of version and 2 of
        // its head, and the sum of a length of 24 bytes for one with a time.
        let event = Event { wall_time: 1.0, step: 0, file_version: Some("brain.Event:2".into()), summary: None };
        let mut out = Vec::new();
        record(&mut out, &event);
        assert_eq!(&out[..8], &24u64.to_le_bytes());
        assert_eq!(&out[8..12], &[0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn what_is_said_next_stands_at_the_end() {
        let moment = |time: f64, done: u64| Moment { time, done, loss: time, terms: BTreeMap::new() };
        let epoch = Epoch {
            epoch: 1,
            terms: Vec::new(),
            clean_accuracy: 0.9,
            robust_accuracy: 0.5,
            gradient_l1: 1.0,
            gradient_l2: 0.1,
            alignment: None,
            own_fgsm_accuracy: None,
            own_pgd_accuracy: None,
            monitored_on: "validation".into(),
            evaluated: false,
        };
        let mut course = Course {
            row: "ce".into(),
            seed: 0,
            epochs: 2,
            steps: 10,
            since: (5.0, 0),
            last: (7.0, 10),
            earlier: 0.0,
            cpu_seconds: None,
            moments: vec![moment(6.0, 3)],
            curve: vec![(7.0, epoch)],
        };
        let before = events(&course);
        course.moments.push(moment(8.0, 13));
        let after = events(&course);
        assert!(after.len() > before.len() && after.starts_with(&before));
        assert_eq!(read(&after).iter().map(|e| e.step).collect::<Vec<_>>(), [0, 3, 10, 13]);
    }

    #[test]
    fn every_number_is_there_with_its_step_and_time() {
        let course = Course {
            row: "ce".into(),
            seed: 0,
            epochs: 2,
            steps: 10,
            since: (5.0, 0),
            last: (9.0, 10),
            earlier: 0.0,
            cpu_seconds: None,
            moments: vec![Moment { time: 6.0, done: 3, loss: 0.5, terms: BTreeMap::from([("ce".into(), 0.25)]) }],
            curve: Vec::new(),
        };
        let events = read(&events(&course));
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        let told: Vec<_> = events[1].summary.iter().flat_map(|s| &s.value).collect();
        assert_eq!((events[1].wall_time, events[1].step, events.len()), (6.0, 3, 2));
        let told: Vec<_> = told.iter().map(|v| (v.tag.as_str(), v.simple_value)).collect();
        assert_eq!(told, [("loss/total", Some(0.5)), ("loss/ce", Some(0.25))]);
    }
}
