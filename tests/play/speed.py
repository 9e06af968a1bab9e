"""How fast the playground is, in Chromium on the real engine: `python -m tests.play.speed`, on a machine at rest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

from playwright.sync_api import sync_playwright

MEASURE = """async (seconds) => {
    const at = () => [tinyresPlay.state().seen.frame.step, tinyresPlay.drawn(), performance.now()];
    const [s0, d0, t0] = at();
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    const [s1, d1, t1] = at();
    return [1000 * (s1 - s0) / (t1 - t0), 1000 * (d1 - d0) / (t1 - t0)];
}"""
ANSWERED = """async () => {
    const knob = document.querySelector('#knob-lr'), slider = knob.parentElement.querySelector('input[type=range]');
    const times = [];
    for (let k = 0; k < 9; k++) {
        const before = tinyresPlay.state().seen.frame, begin = performance.now();
        slider.value = Number(slider.value) + 1;
        slider.dispatchEvent(new Event('input', {bubbles: true}));
        while (tinyresPlay.state().seen.frame === before) await new Promise(requestAnimationFrame);
        times.push(performance.now() - begin);
        await new Promise((done) => setTimeout(done, 150));
    }
    return times.sort((a, b) => a - b)[4];
}"""


def until(page, expression, seconds=120):
    end = time.monotonic() + seconds
    while not page.evaluate(f"(() => {{ const s = window.tinyresPlay?.state(); return {expression}; }})()"):
        assert time.monotonic() < end, expression
        time.sleep(0.01)


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        begin = time.monotonic()
        command = [sys.executable, "-m", "tinyres", "play", "--no-browser", "--port", "0"]
        path = os.pathsep.join(p for p in sys.path if p)
        started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
        try:
            address = re.search(r"http://\S+", started.stdout.readline())[0]
            print(f"from the prompt to the address: {time.monotonic() - begin:.2f} s")
            page.goto(address)
            until(page, "s?.seen")
            page.get_by_role("button", name="Play", exact=True).click()
            until(page, "s.seen.frame.step > 0")
            print(f"from the prompt to the first moving picture: {time.monotonic() - begin:.2f} s")
            page.get_by_role("button", name="Pause", exact=True).click()
            mlp, conv = "architecture=plain&depth=50&width=64", "family=conv&architecture=residual&depth=56&width=16"
            for name, fragment, wait in (("50-layer MLP, width 64", mlp, 3), ("56-layer ResNet, batch 32", conv, 60)):
                page.goto("about:blank")
                page.goto(f"{address}#lab=net&data={'digits&batch=32' if wait > 9 else 'spirals'}&{fragment}")
                until(page, "s?.seen")
                page.get_by_role("button", name="Play", exact=True).click()
                time.sleep(wait)  # until the compiled kernels are there
                steps, drawn = page.evaluate(MEASURE, 8)
                print(f"{name}: {steps:.1f} steps/s, {drawn:.1f} pictures/s")
                print(f"    a turned slider is shown after {page.evaluate(ANSWERED):.0f} ms (median of 9)")
        finally:
            started.terminate()
            started.wait()
            browser.close()


if __name__ == "__main__":
    main()
