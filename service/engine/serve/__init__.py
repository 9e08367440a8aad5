"""The server: uvicorn, with an end to every wait. Its three state machines:

A connection (protocol.py, messages.py, idling.py)
--------------------------------------------------
All of it runs on the event loop; no other thread may touch a connection.

             the next head
      +----------------------------------------------------+
      v                                                    |
    HEAD ---> BODY ---> ANSWERING ---+--- answer sent ---> IDLE ----+
      |         |           |        |                      ^       |
      |         |           |        |      end of the body |       | deadline
      |         |           |        +------------------> DROPPING  |
      |  refused, no HTTP, or the answer says               |       |
      |  "Connection: close"                                |       v
      +---------+-----------+------------> LINGERING ----> closed <-+

    state      condition in the code             what ends it, and why it must end
    HEAD       `_is_reading_head`, or new        HEAD_TIMEOUT_SECONDS, MAX_HEAD_BYTES. Clients that
                                                 send a byte a minute would use up the open files.
    BODY       `cycle.more_body`, and the        BODY_TIMEOUT_SECONDS (spec/body.py),
               handler waits for it              MAX_MESSAGE_BYTES. For the same reason.
    ANSWERING  `_answering` is the request       The answer. Bytes behind it wait unparsed in
                                                 `_unread`, with reading paused, or one client could
                                                 fill the memory. unsent.py disconnects clients that
                                                 do not read.
    IDLE       `_answering` is None              `timeout_keep_alive`.
    DROPPING   `_has_rest()`: answered before    DROP_TIMEOUT_SECONDS, MAX_DROPPED_BYTES. The client
               the end of the body, which is     could otherwise hold the connection for nothing.
               read and thrown away
    LINGERING  `_is_lingering`: our side is      DROP_TIMEOUT_SECONDS, MAX_DROPPED_BYTES. If we
               closed, what comes is dropped     closed at once while the client sends, the kernel
                                                 would reset the connection and lose the answer.

`_ignores_input`: nothing more is parsed (LINGERING, or after the last request to be answered).
`_client_has_sent_eof`: the client sends no more, but still reads its answers.

A server process (draining.py)
------------------------------
The flags change on the main thread, which also runs the loop. `handle_exit` runs between any two
instructions of it, so it only sets numbers and asks the loop to do the rest.

              SIGTERM, DRAIN        delay over, CLOSE,
              or RETIRE             second SIGTERM
    SERVING ----------> DRAINING ----------> CLOSING ----------> FINISHING ---> ended
       |                                       ^                     |            ^
       +--------- SIGINT, supervisor gone -----+                     +-- FORCE ---+
                                                                        or SIGINT
    DRAINING   `should_exit` and now < `_closes`. New connections are still accepted, because load
               balancers send them until they have seen that /health/ready is 503. Each answer says
               "Connection: close". RETIRE is for one worker that a new one replaces: readiness
               stays, and the worker stops accepting now, because its siblings go on.
    CLOSING    New handshakes are dropped (`mute`), those begun are finished, and the sockets are
               closed. Closing at once would reset connections in the kernel's queue.
    FINISHING  What has begun is answered, for `timeout_graceful_shutdown` at most.

The supervisor and its workers (supervisor.py)
----------------------------------------------
One loop in the supervisor's main thread changes all of this; signal handlers only note numbers. A
worker ignores signals, since a terminal sends them to the whole group, and takes one-byte orders
over a socket pair. It says ALIVE every HEARTBEAT_SECONDS, and CLOSED when it has closed its
listeners.

                      first ALIVE            SIGHUP                      replaced
    worker: STARTING -----------> READY -------------> TO BE REPLACED -----------> RETIRING -> gone
                |                   |                        |
                | START_TIMEOUT     | HEARTBEAT_TIMEOUT      | a new worker does not start
                v                   v                        v
              killed, and another started                  READY: the old one stays

    all:    RUNNING -- SIGTERM: DRAIN to all --> DRAINING -- delay over: mute, CLOSE to all -->
            CLOSING -- all CLOSED, or CLOSE_TIMEOUT --> listeners shut --> the last worker ended

The listeners are shut down last and in all processes at once: a worker that is frozen would
otherwise hold the socket open, and connections to it would hang.
"""
