//! The settings of webhooks: the key of their secrets, where they may be and when they are tried again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;

use super::values::{duration, network};
use crate::attempt::Schedule;
use crate::webhooks::address::Allowed;
use crate::webhooks::vault::Vault;
use crate::webhooks::{self, sender};

/// The key that encrypts secrets at rest.
#[derive(Debug, Clone, Args)]
pub struct MasterKeyArgs {
    /// The key that encrypts the secrets of webhooks: the base64 of 32 bytes, or several with commas
    /// between them, of which the first encrypts and all decrypt. On SQLite one is made beside the
    /// database by default; on PostgreSQL there are no webhooks without it. Not checked by clap, which
    /// would repeat it.
    #[arg(long, env = "ORQIT_MASTER_KEY", hide_env_values = true)]
    pub master_key: Option<String>,
}

/// The settings of webhooks.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    #[command(flatten)]
    pub master_key: MasterKeyArgs,
    /// Networks that webhooks may be sent to although they are not public, also by http, such as
    /// `127.0.0.0/8`: for development. None by default.
    #[arg(long, env = "ORQIT_WEBHOOK_ALLOW_NETWORKS", value_delimiter = ',', value_parser = network)]
    pub webhook_allow_networks: Vec<IpNet>,
    /// The pauses before the attempts to deliver an event or an e-mail, the first of which is made at once; each is a fifth
    /// longer or shorter by chance.
    #[arg(
        long,
        env = "ORQIT_WEBHOOK_RETRY_SCHEDULE",
        value_delimiter = ',',
        default_value = "0s,5s,5m,30m,2h,5h,10h,10h",
        value_parser = pause
    )]
    pub webhook_retry_schedule: Vec<Duration>,
    /// A file with certificates (PEM) that endpoints may show beside those of public authorities.
    #[arg(long, env = "ORQIT_WEBHOOK_CA_FILE")]
    pub webhook_ca_file: Option<PathBuf>,
}

impl WebhookArgs {
    /// The settings of what sends, by these keys.
    pub fn settings(&self, vault: Vault) -> Result<webhooks::Settings, String> {
        let pauses = self.webhook_retry_schedule.clone();
        if pauses.first() != Some(&Duration::ZERO) || pauses.len() > RETRIES_MAX {
            return Err(format!(
                "ORQIT_WEBHOOK_RETRY_SCHEDULE must begin with 0s and have at most {RETRIES_MAX} pauses"
            ));
        }
        let roots = self.webhook_ca_file.as_deref().map(sender::roots).transpose()?;
        let defaults = webhooks::Settings::new(vault);
        Ok(webhooks::Settings {
            allowed: Arc::new(Allowed::new(self.webhook_allow_networks.clone())),
            schedule: Schedule::new(pauses),
            roots: roots.unwrap_or(defaults.roots),
            ..defaults
        })
    }
}

/// The most attempts of a delivery.
const RETRIES_MAX: usize = 30;

/// A pause between two attempts: up to 30 days.
fn pause(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    let longest = Duration::from_secs(30 * 24 * 3600);
    if duration <= longest { Ok(duration) } else { Err("a pause must be 0s to 30d".to_owned()) }
}
