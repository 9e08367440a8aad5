"""Reads the specification once, which makes Connexion fast and strict.

The path of one request through operation.py:

    answer()            on the event loop, without the database
      |  token does not verify ----------------------------> 401
      |  [x-fresh-authentication: too long ago ------------> 401]
      |  no room in a limit -------------------------------> 429
      |  parameters or body do not fit --------------------> 400, 413, 415
      |  [x-fresh-authentication with `when` --------------> 401]
      v
    Pool.run()          one hop to a worker thread, or a greenlet here; none free -> 503
      v
    _in_context()       `current_request` is set
      v
    transact()          begins the transaction, and repeats what follows if it deadlocks
      |
      |  _transact()
      |    session ended, role missing --------------------> 401, 403
      |    the Idempotency-Key has an answer --------------> that answer
      |    [x-worker-pool of a FairPool: the connection is given back while the handler computes]
      |    handler raises a Problem -----------------------> its answer, after a rollback
      |    _finish(): headers, entity tag, 304, JSON that fits the schema
      |    [FairPool: the session is checked again: it may have ended meanwhile]
      |    the answer is kept under the Idempotency-Key, refusals too
      v
    commit              here; earlier only to keep something although the answer is a refusal
      v
    Answer              one hop back; a Stream runs _chunk() in a hop and transaction per chunk

Refusals before that cost no thread and no connection, so a flood of them delays nobody. If a check
ran after the commit, the client would get an error for work that was done.
"""
