"""Tabs of a browser that one test uses after another, since opening one takes longer than most tests; and fingers."""


class Tabs:
    """Those that nobody uses, by the script that each page in them begins with."""

    def __init__(self, browser):
        self.browser, self.free = browser, {}

    def take(self, size, scheme, *, touch=False, script=""):
        """A tab that shows nothing, of this size and colour scheme."""
        free = self.free.setdefault(script, [])
        page = free.pop() if free and not touch else self._new(touch, script)
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=scheme, forced_colors="none", reduced_motion="reduce")
        return page

    def _new(self, touch, script):
        page = self.browser.new_context(reduced_motion="reduce", has_touch=touch).new_page()
        if script:
            page.add_init_script(script)
        return page

    def give(self, page, *, once=False, script=""):
        """Back: what its pages kept is forgotten, and the mouse is out of the way. A tab in which more was changed than
        that is to be used once only.
        """
        if once:
            page.context.close()
            return
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
        page.goto("about:blank")
        page.mouse.move(0, 0)
        self.free[script].append(page)


def touched(visit, *kinds_and_points):
    """Touch events as the browser gets them from a screen: ("touchStart", (x, y), ...), one after the other."""
    if not hasattr(visit, "screen"):  # a finger that is down is known to one session only
        visit.screen = visit.page.context.new_cdp_session(visit.page)
    for kind, *points in kinds_and_points:
        fingers = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        visit.screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def swiped(visit, start, by):
    """One finger that goes from a place so far to the right and down, in eight moves. It rests before it lifts: what it
    scrolled does not go on by itself.
    """
    (x, y), (across, down) = start, by
    moves = [("touchMove", (x + across * i / 8, y + down * i / 8)) for i in range(1, 9)]
    touched(visit, ("touchStart", start), *moves)
    visit.page.wait_for_timeout(100)
    touched(visit, ("touchEnd",))
