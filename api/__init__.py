"""REST over the stored market data: a thin FastAPI service that reads Cassandra and owns no state.

``main.create_app`` wires it, ``routes`` hold the endpoints, ``store`` the queries, ``readiness`` what
``/ready`` looks at. It imports ``schemas`` and nothing else of the project.
"""
