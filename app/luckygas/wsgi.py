"""What gunicorn serves: `gunicorn --config=python:luckygas.gunicorn luckygas.wsgi:app`."""

from luckygas import create_app

app = create_app()
