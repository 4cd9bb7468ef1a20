"""The store: SQLAlchemy models, migrations, and the repository over them."""
