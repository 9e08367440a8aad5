"""What a program needs of the Python client, in twenty lines (test_python_program.py runs them).

Arguments: the address of a service, an email address and a password, an author, and a post.
"""

import sys

from byline_client import Byline, FileStore
from byline_client.models import Post

url, email, password, author, shared = sys.argv[1:]
byline = Byline(url, store=FileStore("tokens.json"))
byline.sign_in(email, password)
print(len(list(byline.posts.list(author_id=author, limit=100))), "posts of the author")
post = byline.posts.create(title="In the Café", content="Two coffees.")
changed = byline.posts.change(shared, lambda seen: {"title": f"{seen.title}, and this"})
print(changed.title)
size = written = 0
for line in byline.auth.export():
    if isinstance(line, Post):
        size += len(line.content)
        written += line.title == post.title
print(written, "post written,", size, "characters")
