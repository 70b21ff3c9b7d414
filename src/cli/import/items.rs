//! The items of an import of tickets: checked by the rules of the service, and cut into pieces that
//! fit into a call.

use prost::Message;
use rest::{Place, Validate, Violations};
use serde_json::{Map, Value, json};

use super::mapping::Reason;
use crate::pb;
use crate::service::tickets::check_import;

/// The most bytes of one piece of a ticket; a longer ticket is sent piece by piece.
pub const PIECE_BYTES_MAX: usize = 256 * 1024;
pub const PIECE_ROWS_MAX: usize = 500;
/// The separator between the source of a ticket and its id there.
pub const BETWEEN: char = '\u{1f}';

/// Returns the key of a ticket within an import.
pub fn key(source: &str, id: &str) -> String {
    format!("{source}{BETWEEN}{id}")
}

/// A ticket by the rules of the service.
pub fn read(item: Map<String, Value>) -> Result<pb::TicketImport, Vec<Reason>> {
    let mut wrong = Violations::default();
    let body = json!({ "items": [item] }).to_string();
    let json = rest::Json::parse(body.as_bytes())
        .map_err(|message| vec![Reason::new("", "MALFORMED_RECORD", message)])?;
    let request: Option<pb::ImportTicketsRequest> = rest::value(json, &Place::ROOT, &mut wrong);
    let mut request = request.unwrap_or_default();
    request.validate(&mut wrong);
    check_import(&request, &mut wrong);
    let of_item = wrong.take_items().into_values().next().unwrap_or_default();
    let all = wrong.as_slice().iter().chain(of_item.as_slice());
    let all: Vec<_> =
        all.map(|wrong| Reason::new(&wrong.field, wrong.code, wrong.message.clone())).collect();
    match request.items.pop().filter(|_| all.is_empty()) {
        Some(item) => Ok(item),
        None => Err(all),
    }
}

/// A ticket in pieces that fit into a call: the later ones bring comments and history.
pub fn in_pieces(mut item: pb::TicketImport) -> Vec<pb::TicketImport> {
    let is_small = item.comments.len() <= PIECE_ROWS_MAX && item.history.len() <= PIECE_ROWS_MAX;
    if is_small && item.encoded_len() <= PIECE_BYTES_MAX {
        return vec![item];
    }
    let more = |path: &str| pb::TicketImport {
        external_source: item.external_source.clone(),
        external_id: item.external_id.clone(),
        update_mask: Some(mask(&[path])),
        ..pb::TicketImport::default()
    };
    let (mut comments, mut history) = (more("comments"), more("history"));
    let mut pieces = Vec::new();
    for comment in std::mem::take(&mut item.comments) {
        let is_full = comments.encoded_len() + comment.encoded_len() > PIECE_BYTES_MAX;
        if !comments.comments.is_empty() && (is_full || comments.comments.len() == PIECE_ROWS_MAX) {
            pieces.push(std::mem::replace(&mut comments, more("comments")));
        }
        comments.comments.push(comment);
    }
    for entry in std::mem::take(&mut item.history) {
        let is_full = history.encoded_len() + entry.encoded_len() > PIECE_BYTES_MAX;
        if !history.history.is_empty() && (is_full || history.history.len() == PIECE_ROWS_MAX) {
            pieces.push(std::mem::replace(&mut history, more("history")));
        }
        history.history.push(entry);
    }
    pieces.push(comments);
    pieces.push(history);
    pieces.retain(|piece| !piece.comments.is_empty() || !piece.history.is_empty());
    // The time of the last change is the one that the ticket had.
    for piece in &mut pieces {
        piece.updated_at = item.updated_at;
        if item.updated_at.is_some() {
            piece.update_mask.get_or_insert_default().paths.push("updated_at".to_owned());
        }
    }
    pieces.insert(0, item);
    pieces
}

fn mask(paths: &[&str]) -> prost_types::FieldMask {
    prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}
