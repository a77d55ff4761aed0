"""What gunicorn serves: `gunicorn --config=python:luckygas.gunicorn luckygas.wsgi:app`."""

from luckygas.app import create_app

app = create_app()
