"""The results of bench/run: a table, an SVG, a JSON file."""
import html
import json
import math
import statistics

WIDTH, LINE, LEFT, RIGHT = 860, 22, 300, 230
COLOURS = {"clone": "#4878a8", "blobless": "#8fb3d9", "fetch": "#8fb3d9", "git-fs": "#888888"}
OTHER = "#6a9955"


def spread(values, form):
    """Median (least..most)."""
    words = form(statistics.median(values))
    if len(values) > 1:
        words += f" ({form(min(values))}..{form(max(values))})"
    return words


def duration(seconds):
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def ratio(value):
    return f"{value:.3f}" if value < 0.0995 else f"{value:.2f}"


def size(count):
    return f"{count / 1000:.1f} KB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def middle(samples, key):
    return statistics.median(sample[key] for sample in samples)


def traffic(samples):
    """Requests and bytes, and what else is known of a program's runs."""
    words = []
    if "requests_ls" in samples[0]:
        words.append(f"{middle(samples, 'requests_ls'):.0f} requests, "
                     f"{size(middle(samples, 'received_ls'))} when ls ended; in all")
    if "requests" in samples[0]:
        words.append(f"{middle(samples, 'requests'):.0f} requests, "
                     f"{size(middle(samples, 'received'))}")
    if "blobs" in samples[0]:
        words.append(f"+ {middle(samples, 'blobs'):.0f} blobs")
    if "rss" in samples[0]:
        words.append(f"+ {middle(samples, 'rss'):.0f} MiB resident "
                     f"(at most {middle(samples, 'hwm'):.0f})")
    return " ".join(words).removeprefix("+ ")


def ratios(ours, theirs):
    return [one["seconds"] / other["seconds"] for one, other in zip(ours, theirs)]


def rivals(results, row):
    """(program, its samples), of all but git-fs that did this row."""
    return [(program, samples) for (name, program), samples in results.found.items()
            if name == row and program != "git-fs"]


def scenario_lines(results, scenario):
    """Cells of the table."""
    for row in scenario.rows():
        full = scenario.full(row.name)
        if not results.wanted(full):
            continue
        ours = results.found.get((full, "git-fs"))
        failed = results.failed.get((full, "git-fs"))
        first = [row.name, row.goal, "git-fs", "", "", ""]
        if ours and "seconds" in ours[0]:
            first[3] = spread([sample["seconds"] for sample in ours], duration)
        if ours:
            first[5] = traffic(ours)
        if failed:
            first[5] = f"failed: {failed}"
        yield first
        for program, samples in rivals(results, full):
            compared = ours and spread(ratios(ours, samples), ratio)
            yield ["", "", program, spread([sample["seconds"] for sample in samples], duration),
                   compared or "", traffic(samples)]
        for (name, program), words in results.failed.items():
            if name == full and program != "git-fs":
                yield ["", "", program, "", "", f"failed: {words}"]


def table(results, scenarios, about):
    text = ["; ".join(about.values())]
    for scenario in scenarios:
        head = ["row", "goal", "program", "median (least..most)", "git-fs ÷ it", "traffic, memory"]
        cells = [head, *scenario_lines(results, scenario)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
        repo = scenario.repo
        text += ["", f"{scenario.title} ({repo.files} files at {repo.commit[:12]})", ""]
        for number, line in enumerate(cells):
            padded = "  ".join(cell.ljust(width) for cell, width in zip(line, widths))
            text.append("  " + padded.rstrip())
            if number == 0:
                text.append("  " + "  ".join("-" * width for width in widths))
        text.append("")
        text += [f"  {words}" for (name, _), words in results.failed.items()
                 if name == scenario.title]
        text += [f"  {row.name}: {row.what}" for row in scenario.rows()
                 if results.wanted(scenario.full(row.name))]
    return "\n".join(text) + "\n"


def bars(results, scenarios):
    """(scenario's title or None, row, program, ratios, goal), in the order of the table."""
    found = []
    for scenario in scenarios:
        title = scenario.title
        for row in scenario.rows():
            full = scenario.full(row.name)
            ours = results.found.get((full, "git-fs"))
            for program, samples in rivals(results, full) if ours else []:
                found.append((title, row.name, program, ratios(ours, samples), row.part))
                title = None
    return found


def svg(results, scenarios, about):
    """Each row's time ÷ its rival's, on a logarithmic scale with 1 in the middle of the
    eye: left is faster. A thin line goes from the least to the most, a tick is the goal."""
    found = bars(results, scenarios)
    values = [value for bar in found for value in [*bar[3], bar[4] or 1]] or [1]
    low = math.floor(math.log10(min(*values, 0.1)))
    high = math.ceil(math.log10(max(*values, 10)))
    per_decade = (WIDTH - LEFT - RIGHT) / (high - low)

    def x(value):
        return LEFT + (math.log10(value) - low) * per_decade

    def text(left, top, words, more=""):
        return f'<text x="{left:.1f}" y="{top}" {more}>{html.escape(words)}</text>'

    def line(left, top, right, bottom, more):
        return f'<line x1="{left:.1f}" y1="{top}" x2="{right:.1f}" y2="{bottom}" {more}/>'

    body, y = [], 58
    for title, row, program, parts, goal in found:
        if title:
            y += 14
            body.append(text(12, y + 11, title, 'font-weight="bold"'))
            y += LINE
        median = statistics.median(parts)
        left, right = sorted((x(1), x(median)))
        body += [
            text(24, y + 12, f"{row} ÷ {program}"),
            f'<rect x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="15" '
            f'fill="{COLOURS.get(program, OTHER)}"/>',
            line(x(min(parts)), y + 7.5, x(max(parts)), y + 7.5, 'stroke="black"'),
            text(WIDTH - RIGHT + 16, y + 12, spread(parts, ratio)
                 + (f", goal {goal}" if goal else ""))]
        if goal:
            body.append(line(x(goal), y - 2, x(goal), y + 17, 'stroke="#c03030" stroke-width="2"'))
        y += LINE
    grid = []
    for power in range(low, high + 1):
        grid += [line(x(10.0 ** power), 48, x(10.0 ** power), y,
                      f'stroke="{"#555" if power == 0 else "#ddd"}"'),
                 text(x(10.0 ** power), 44, f"{10.0 ** power:g}", 'text-anchor="middle"')]
    foot = ["; ".join(words for key, words in about.items() if key != "command"),
            about["command"]]
    head = [text(12, 20, "git-fs: its time ÷ another's (left of 1: faster)", 'font-weight="bold"'),
            *(text(12, y + 24 + 14 * number, words, 'font-size="10"')
              for number, words in enumerate(foot))]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 50}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{y + 50}" fill="white"/>',
        *head, *grid, *body, "</svg>"]) + "\n"


def as_json(results, scenarios, about):
    rows = []
    for scenario in scenarios:
        for row in scenario.rows():
            full = scenario.full(row.name)
            programs = {program: samples for (name, program), samples in results.found.items()
                        if name == full}
            failed = {program: words for (name, program), words in results.failed.items()
                      if name == full}
            if programs or failed:
                rows.append({"row": full, "goal": row.goal, "files": scenario.repo.files,
                             "commit": scenario.repo.commit, "samples": programs,
                             "failed": failed})
    return json.dumps({"about": about, "rows": rows}, indent=1) + "\n"
