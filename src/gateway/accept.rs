//! Content negotiation: lists of names with weights (RFC 9110 section 12.4.2).

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderName};
use rest::StreamFormat;

/// Returns true if Accept-Encoding has gzip, by its own name or else by `*`, with a weight above 0.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let weight = |names| weight(headers, &ACCEPT_ENCODING, names);
    weight(&["gzip", "x-gzip"]).or_else(|| weight(&["*"])).is_some_and(|weight| weight > 0.0)
}

/// Returns the format in which the client wants a stream: lines of JSON where it names them and
/// does not prefer Server-Sent Events, otherwise Server-Sent Events.
pub fn stream_format(headers: &HeaderMap) -> StreamFormat {
    let weight = |format: StreamFormat| weight(headers, &ACCEPT, &[format.media_type()]);
    let ndjson = weight(StreamFormat::Ndjson).filter(|weight| *weight > 0.0);
    let sse = weight(StreamFormat::Sse).unwrap_or_default();
    match ndjson {
        Some(weight) if weight >= sse => StreamFormat::Ndjson,
        _ => StreamFormat::Sse,
    }
}

/// The weight of the last item that has one of these names, in lower case: 1 where it has none, 0 where
/// it is no number.
fn weight(headers: &HeaderMap, header: &HeaderName, names: &[&str]) -> Option<f32> {
    let lines = headers.get_all(header).iter().filter_map(|line| line.to_str().ok());
    let mut weights = lines.flat_map(|line| line.split(',')).filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut weights = parts.filter_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('='));
        let weight = weights.next().map_or(1.0, |weight| weight.parse().unwrap_or_default());
        names.contains(&name.as_str()).then_some(weight)
    });
    weights.next_back()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, line: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(line))])
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_with_a_weight() {
        let takes = |line| takes_gzip(&headers(ACCEPT_ENCODING, line));
        for line in ["gzip", "br, GZIP;q=0.5", "x-gzip", "*", "identity, *;q=0.1", "gzip;Q=1"] {
            assert!(takes(line), "{line}");
        }
        for line in ["", "br", "gzip;q=0", "gzip;q=0, *", "*;q=0", "identity", "gzip;q=x"] {
            assert!(!takes(line), "{line}");
        }
    }

    #[test]
    fn lines_of_json_are_for_who_names_them() {
        let format = |line| stream_format(&headers(ACCEPT, line));
        for line in ["", "*/*", "text/event-stream", "application/json", "application/*"] {
            assert_eq!(format(line), StreamFormat::Sse, "{line}");
        }
        for line in [
            "application/x-ndjson",
            "text/event-stream, Application/X-NDJSON",
            "*/*, application/x-ndjson;q=0.1",
        ] {
            assert_eq!(format(line), StreamFormat::Ndjson, "{line}");
        }
        for line in [
            "application/x-ndjson;q=0",
            "application/x-ndjson; q=0.5, text/event-stream;q=0.6",
            "application/x-ndjson;q=much",
        ] {
            assert_eq!(format(line), StreamFormat::Sse, "{line}");
        }
    }
}
