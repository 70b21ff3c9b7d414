//! `orqit user`: the operator's view of users.

use clap::{Args, ValueEnum};

use super::settings::DatabaseArgs;
use super::{chain, database};
use crate::event::Actor;
use crate::service::users;
use crate::store::{self, NewUser};

/// What can be done with users.
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
    /// What the user is to the service desk.
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
    let new = NewUser::new(args.name, args.email, role);
    let failed = |error: crate::error::Error| chain("cannot make the user", &error);
    let mut tx = store.begin(workspace.id, Actor::operator()).await.map_err(failed)?;
    let user = tx.insert_user(new).await.map_err(failed)?;
    users::record_new(&mut tx, &user);
    tx.commit().await.map_err(failed)?;
    println!("{} {}", user.id, user.email);
    Ok(())
}
