"""What the web page does, apart from its looks, which are `app.py`, `app.css` and `app.js`.

    models.py     the animator, loaded in the background, and the part that may run on a lent GPU
    page.py       all parts of the page by name, made by material.py (what goes in) and panels.py
                  (what comes out); wiring.py says what follows what, runs.py what makes clips,
                  events.py how they wait for each other
    settings.py   what a visitor can choose, and the recipe link that carries it
    orders.py     uploads and settings as they arrive, checked before anything waits in the queue
    messages.py   stages, time left, errors as sentences
    visits.py     who is here, what they have on the page, how they stop a run
    uploads.py    what a client calls a file, turned into a path
    doors.py      what of Gradio's server is shut, and how much may come in
    folders.py    where results lie, and when they are deleted
    shots.py      the work: draw, edit, mix, render, compare
    endpoints.py  the same for programs, one documented function an action

Everything real happens in the animator. Only here the package's errors become `gr.Error`.
"""
