"""What producer, jobs and api share: event types, Avro codec, validation, topics, tables and settings.

The only package of the project that the other three import; it imports none of them.
"""
