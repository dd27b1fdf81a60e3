"""The live feed: one Kafka consumer for the whole process, fanned out to every WebSocket client.

``feed`` reads and decodes, ``hub`` numbers and fans out, ``outbox`` holds what one client has not been sent
yet, ``session`` is the conversation with it, ``latest`` what is newest of each symbol.
"""
