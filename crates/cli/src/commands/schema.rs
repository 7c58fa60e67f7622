//! `gauntlet schema`: JSON Schemas for editors, and the reference of keys.

use crate::arguments::{Schema, SchemaOf};
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{reference, schema};
use serde_json::json;

pub(crate) fn schema(session: &Session, arguments: &Schema) -> Result<Code, Failure> {
    let registry = &session.registry;
    if arguments.markdown {
        let page = match arguments.what {
            SchemaOf::Suite => reference::suite(registry),
            SchemaOf::Dataset => reference::dataset(),
        };
        session.result(|| json!({ "markdown": page }), || page.clone())?;
        return Ok(Code::Done);
    }
    let made = match arguments.what {
        SchemaOf::Suite => schema::suite(registry),
        SchemaOf::Dataset => schema::dataset(registry),
    };
    session.result(|| made.clone(), || schema::text(&made))?;
    Ok(Code::Done)
}
