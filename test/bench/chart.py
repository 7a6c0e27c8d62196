"""Draws the rates of all libraries as bars on a logarithmic scale.

SPDX-License-Identifier: Apache-2.0
"""
import math

COLOURS = {"tern": "#0b6e75", "libmosquitto": "#d08b2d", "paho-async": "#8a4f9e", "raw": "#b8bec4"}
LEFT, RIGHT, BAR, GAP, TOP = 150, 820, 11, 12, 60
LOWEST, HIGHEST = 1e3, 1e8


def place(rate):
    share = math.log10(max(rate, LOWEST) / LOWEST) / math.log10(HIGHEST / LOWEST)
    return LEFT + min(share, 1) * (RIGHT - LEFT)


def text(x, y, words, size=11, anchor="start", fill="#333"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}">{words}</text>'


def legend(libraries):
    parts, x = [], LEFT
    for name in libraries:
        parts.append(f'<rect x="{x}" y="30" width="11" height="11" fill="{COLOURS[name]}"/>')
        parts.append(text(x + 16, 40, name))
        x += 120
    return parts


def scale(bottom):
    parts, rate = [], LOWEST
    while rate <= HIGHEST:
        x = place(rate)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>')
        label = f"{rate / 1e6:g} M" if rate >= 1e6 else f"{rate / 1e3:g} k"
        parts.append(text(x, bottom + 14, label, anchor="middle"))
        rate *= 10
    return parts


def draw(path, rows, libraries):
    """Writes the chart of `rows`, each with a name and reports by library, to `path`."""
    parts, y = [], TOP
    for row in rows:
        names = [name for name in libraries if name in row.reports]
        parts.append(text(LEFT - 8, y + BAR * len(names) / 2 + 4, row.name, anchor="end"))
        for name in names:
            rate = row.reports[name]["rate"]
            width = place(rate) - LEFT
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 1}" fill="{COLOURS[name]}"/>')
            parts.append(text(LEFT + width + 4, y + BAR - 2, f"{rate / 1000:,.0f} k", size=9))
            y += BAR
        y += GAP
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{RIGHT + 80}" height="{y + 24}" '
            'font-family="sans-serif">', '<rect width="100%" height="100%" fill="#fff"/>',
            text(LEFT, 18, "Messages a second, one core for the client and one for the sink", size=13)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(head + legend(libraries) + scale(y) + parts + ["</svg>\n"]))
