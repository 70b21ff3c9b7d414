//! The attempts: each claim that is sent is a task of its own, which reports how it ended.

use std::sync::Arc;

use tokio::time::Instant;

use super::Dispatcher;
use super::dispatcher::{Ended, RETRY_AFTER, State, warn_late};
use super::outcome::{given_back, outcome, unsent, worn_out};
use crate::config::{CLAIM_STARTS_WITHIN, EMAIL_CLAIM_LASTS};
use crate::error::{Error, causes};
use crate::store::WorkspaceId;
use crate::store::emails::Email;
use crate::store::webhooks::{AttemptError, Claim, Parcel};

impl Dispatcher {
    /// Begins to send a claimed delivery; it was claimed at `began` or later. What cannot be sent
    /// is left to time, and parked in the end.
    pub(super) async fn start(&self, state: &mut State, claim: Claim, began: Instant) {
        let key = claim.endpoint;
        if let Err(error) = self.try_start(state, claim, began).await {
            let cause = causes(&error);
            let workspace = key.0.0;
            tracing::error!(cause, workspace, endpoint = key.1, "a delivery cannot be sent");
            state.slots.free(key, None);
        }
    }

    async fn try_start(
        &self,
        state: &mut State,
        claim: Claim,
        began: Instant,
    ) -> Result<(), Error> {
        let public_id = self.public_id(state, claim.endpoint.0).await?;
        match claim.parcel.clone() {
            Parcel::Event { endpoint, event } => {
                let events = self.events.as_ref().ok_or_else(unasked)?;
                let now = self.clock.now();
                let message = events.message(&claim, (&endpoint, &event), &public_id, now)?;
                let (sender, results) = (events.sender.clone(), state.results.clone());
                let (schedule, clock) = (self.schedule.clone(), self.clock.clone());
                tokio::spawn(async move {
                    let outcome = match message {
                        // There would be no time left for it, as after this process stood still.
                        Some(_) if began.elapsed() > CLAIM_STARTS_WITHIN => given_back(&claim),
                        Some(message) => {
                            let sent = sender.send(message, now).await;
                            count("webhook", sent.is_success);
                            outcome(&claim, sent, &schedule, clock.now())
                        }
                        None => unsent(&claim, AttemptError::ForbiddenAddress, &schedule, now),
                    };
                    // Nobody takes it once the dispatcher has ended: the claim runs out then.
                    let _ = results.send(Ended::Attempt(outcome));
                });
            }
            Parcel::Email(email) => self.start_email(state, claim, email, &public_id, began)?,
        }
        Ok(())
    }

    fn start_email(
        &self,
        state: &State,
        claim: Claim,
        email: Arc<Email>,
        public_id: &Arc<str>,
        began: Instant,
    ) -> Result<(), Error> {
        let emails = self.emails.as_ref().ok_or_else(unasked)?;
        let (sender, settle) = (emails.sender.clone(), Arc::clone(&emails.settle));
        let (schedule, clock) = (self.schedule.clone(), self.clock.clone());
        let (results, public_id) = (state.results.clone(), Arc::clone(public_id));
        tokio::spawn(async move {
            if began.elapsed() > CLAIM_STARTS_WITHIN {
                let _ = results.send(Ended::Attempt(given_back(&claim)));
                return;
            }
            let (outcome, is_well) = if claim.is_worn_out {
                (worn_out(&claim, &schedule, clock.now()), true)
            } else {
                let sent = sender.send(&email, &public_id, clock.now()).await;
                count("email", sent.is_success);
                let is_well = sent.is_success || sent.is_final;
                (outcome(&claim, sent, &schedule, clock.now()), is_well)
            };
            let mut is_told = false;
            // Somebody else has it once the claim has run out.
            while began.elapsed() < EMAIL_CLAIM_LASTS {
                match settle(outcome.clone()).await {
                    Ok(true) => break,
                    Ok(false) => {
                        warn_late(outcome.endpoint.0, outcome.delivery);
                        break;
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut is_told, true) {
                            let cause = causes(&error);
                            tracing::warn!(
                                cause,
                                "what came of an e-mail cannot be written down; trying again"
                            );
                        }
                        tokio::time::sleep(RETRY_AFTER).await;
                    }
                }
            }
            let _ = results.send(Ended::Settled { outcome, is_well });
        });
        Ok(())
    }

    /// The id of a workspace outside.
    async fn public_id(
        &self,
        state: &mut State,
        workspace: WorkspaceId,
    ) -> Result<Arc<str>, Error> {
        if let Some(id) = state.public_ids.get(&workspace) {
            return Ok(Arc::clone(id));
        }
        let found = self.store.reader(workspace).find_workspace().await?;
        let found = found.ok_or_else(|| Error::internal("a delivery of no workspace"))?;
        let id: Arc<str> = found.public_id.into();
        state.public_ids.insert(workspace, Arc::clone(&id));
        Ok(id)
    }
}

fn count(of: &'static str, is_success: bool) {
    let outcome = if is_success { "success" } else { "failure" };
    metrics::counter!("orqit_delivery_attempts_total", "of" => of, "outcome" => outcome)
        .increment(1);
}

/// The error of a claim of a kind that this process does not send, and so never claims.
fn unasked() -> Error {
    Error::internal("something was claimed that is not sent here")
}
