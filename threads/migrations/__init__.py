"""The schema's history, run by alembic from within the program; there is no alembic.ini to find."""
