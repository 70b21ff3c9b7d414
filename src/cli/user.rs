//! `orqit user`: the operator's view of users.

use clap::{Args, ValueEnum};

use super::settings::DatabaseArgs;
use super::{chain, database};
use crate::event::Actor;
use crate::event_type::EventType;
use crate::service::users;
use crate::store::{self, User};

/// The commands for users.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a user in a workspace.
    Create(CreateArgs),
}

/// A new user.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The short name of the workspace.
    #[arg(long, default_value = "default")]
    workspace: String,
    /// The name to show, 1 to 255 characters.
    #[arg(long, value_parser = super::name)]
    name: String,
    /// The e-mail address, unique in the workspace.
    #[arg(long, value_parser = super::email)]
    email: String,
    /// The role of the user.
    #[arg(long, default_value = "agent")]
    role: Role,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    EndUser,
    Agent,
    Admin,
}

/// Runs a user command.
pub async fn run(command: Command) -> Result<(), String> {
    let Command::Create(args) = command;
    let store = database::open(&args.database).await?;
    let workspace = database::find_workspace(&store, &args.workspace).await?;
    let role = match args.role {
        Role::EndUser => store::Role::EndUser,
        Role::Agent => store::Role::Agent,
        Role::Admin => store::Role::Admin,
    };
    let failed = |error: crate::error::Error| chain("cannot make the user", &error);
    let mut tx = store.begin(workspace.id, Actor::operator()).await.map_err(failed)?;
    let new = User::new(&args.name, &args.email, role, tx.now());
    let user = tx.insert(new).await.map_err(failed)?;
    users::record_new(&mut tx, EventType::UserCreated, &user);
    tx.commit().await.map_err(failed)?;
    println!("{} {}", user.id, user.email);
    Ok(())
}
