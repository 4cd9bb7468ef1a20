"""``tongpin user``: people who can log in, without a running service."""

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tongpin.config.load import ConfigError, load
from tongpin.gateway.changes import changed, made
from tongpin.gateway.errors import CallerError, TongpinError
from tongpin.gateway.passwords import Passwords, check_password
from tongpin.gateway.records import People, Role, User
from tongpin.gateway.rights import check_post

users = typer.Typer(no_args_is_help=True)

ACTOR = "command line"
"""Who the audit log names: whoever may read the configuration on this machine."""

ConfigOption = Annotated[Path | None, typer.Option("--config", help="The configuration file.")]
StdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


async def add_user(store: People, username: str, password: str, role: str, agency: str | None) -> None:
    """Make a user. Raises CallerError when the name is taken, or the role is not held there."""
    check_post(Role(role), agency)
    user = User(f"u-{secrets.token_hex(6)}", username, await Passwords().hash(password), Role(role), agency)
    await store.save_user(user, is_new=True, audit=made(ACTOR, "user", user))


def _password(username: str, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    try:
        check_password(password, username)
    except CallerError as error:
        typer.echo(f"tongpin: {error}", err=True)
        raise typer.Exit(1) from error
    return password


def _with_store(config: Path | None, work: Callable[[People], Coroutine[None, None, None]]) -> None:
    from tongpin.gateway.app import prepare_store
    from tongpin.gateway.storage.repository import SqlRepository

    async def run() -> None:
        store = await prepare_store(load(config, os.environ))
        try:
            await work(SqlRepository(store))
        finally:
            await store.close()

    try:
        asyncio.run(run())
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except TongpinError as error:
        typer.echo(f"tongpin: {error}", err=True)
        raise typer.Exit(1) from error


async def _known(store: People, username: str) -> User:
    user = await store.user_by_name(username)
    if user is None:
        raise CallerError(404, "no-such-user", f"there is no user {username!r}")
    return user


@users.command()
def add(
    username: str,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.DISPATCHER,
    agency: Annotated[str | None, typer.Option(help="The user's agency; none = the command centre.")] = None,
    password_stdin: StdinOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a user."""
    password = _password(username, password_stdin)
    _with_store(config, lambda store: add_user(store, username, password, role, agency))
    typer.echo(f"{username} can log in now")


@users.command("list")
def list_users(config: ConfigOption = None) -> None:
    """List users."""

    async def work(store: People) -> None:
        for user in await store.users():
            state = "disabled" if user.is_disabled else "active"
            typer.echo(f"{user.username:<24} {user.role:<12} {user.agency or '-':<16} {state}")

    _with_store(config, work)


@users.command()
def passwd(username: str, password_stdin: StdinOption = False, config: ConfigOption = None) -> None:
    """Set a user's password."""
    password = _password(username, password_stdin)

    async def work(store: People) -> None:
        user = await _known(store, username)
        after = replace(user, password_hash=await Passwords().hash(password))
        await store.save_user(after, is_new=False, audit=changed(ACTOR, "user", user, after))

    _with_store(config, work)
    typer.echo(f"{username} has a new password")


@users.command()
def disable(username: str, config: ConfigOption = None) -> None:
    """Keep a user from logging in."""

    async def work(store: People) -> None:
        user = await _known(store, username)
        after = replace(user, is_disabled=True)
        await store.save_user(after, is_new=False, audit=changed(ACTOR, "user", user, after, "disabled"))

    _with_store(config, work)
    typer.echo(f"{username} can no longer log in")
