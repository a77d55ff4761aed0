"""`luckygas-app openapi`."""

import json

import click

from luckygas.app import create_app


@click.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    click.echo(json.dumps(create_app().extensions["luckygas.openapi"], ensure_ascii=False, indent=2))
