//! Calls that are retried: the limits of the key are waited for, and the service may be away for a
//! while.

use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::mapping::Reason;
use super::progress::Progress;
use crate::cli::client::sentence;

/// The longest time that the service may be unreachable.
const AWAY_MAX: Duration = Duration::from_secs(300);
/// The pauses before a call is made again, the first one and the longest one.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// Makes a call, and makes it again where the limits of the key are spent or the service is away.
/// Whoever calls does nothing twice by it.
pub async fn call<R, A>(progress: &Progress, mut call: impl FnMut() -> A) -> Result<R, Status>
where
    A: Future<Output = Result<R, Status>>,
{
    let (mut away_since, mut pause) = (None, AGAIN_AFTER);
    loop {
        let status = match call().await {
            Ok(answer) => {
                if away_since.is_some() {
                    progress.note("the service answers again");
                }
                return Ok(answer);
            }
            Err(status) => status,
        };
        if status.code() == Code::ResourceExhausted {
            let details = status.get_details_retry_info();
            let Some(wait) = details.and_then(|info| info.retry_delay) else { return Err(status) };
            let seconds = wait.as_secs().max(1);
            progress.note(&format!("the rate limit of the key is spent: waiting {seconds} s"));
            tokio::time::sleep(wait).await;
            continue;
        }
        let since = *away_since.get_or_insert_with(Instant::now);
        if !is_away(&status) || since.elapsed() > AWAY_MAX {
            return Err(status);
        }
        progress.note("the service is away: trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_AFTER_MAX);
    }
}

/// Returns true if a status means that the service cannot be reached or cannot answer now.
fn is_away(status: &Status) -> bool {
    // What the service itself answers has details.
    let is_answer = status.get_details_error_info().is_some();
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted => true,
        Code::Cancelled | Code::Unknown | Code::Internal => !is_answer,
        _ => false,
    }
}

/// The stable code of a refusal.
pub fn code(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Returns the reasons of a refusal of the call's content; an error where no other call would be
/// accepted either.
pub fn reasons(status: &Status) -> Result<Vec<Reason>, String> {
    match status.code() {
        Code::InvalidArgument
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::OutOfRange => {}
        Code::ResourceExhausted if code(status) == "PAYLOAD_TOO_LARGE" => {}
        _ => return Err(sentence(status)),
    }
    let wrong = status.get_details_bad_request().map(|wrong| wrong.field_violations);
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    if wrong.is_empty() {
        return Ok(vec![Reason::new("", &code(status), status.message())]);
    }
    Ok(wrong.iter().map(|it| Reason::new(&it.field, &it.reason, it.description.clone())).collect())
}
