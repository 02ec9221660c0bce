"""pprof: reads a profile in pprof's format, as far as tests look at it."""
import gzip


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            value = data[at:at + length]
            assert len(value) == length
            at += length
        else:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def numbers(data):
    out, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        out.append(value)
    return out


class Profile:
    """types: (type, unit) of each value; samples: (functions with the innermost first, values, labels)."""

    def __init__(self, data):
        top = {}
        for field, value in fields(gzip.decompress(data)):
            top.setdefault(field, []).append(value)
        self.strings = [s.decode() for s in top[6]]
        assert self.strings[0] == ""
        text = self.strings.__getitem__
        self.types = [(text(d[1]), text(d[2])) for d in map(dict, map(fields, top[1]))]
        function = {d[1]: text(d[2]) for d in map(dict, map(fields, top.get(5, [])))}
        mappings = {dict(fields(m))[1] for m in top.get(3, [])}
        location = {}
        for data in top.get(4, []):
            own = dict(fields(data))
            assert own.get(2, 0) == 0 or own[2] in mappings
            location[own[1]] = [function[dict(fields(line))[1]] for f, line in fields(data) if f == 4]
        self.samples = []
        for data in top.get(2, []):
            stack, values, labels = [], [], {}
            for field, value in fields(data):
                if field == 1:
                    stack += [name for place in numbers(value) for name in location[place]]
                elif field == 2:
                    values = numbers(value)
                elif field == 3:
                    d = dict(fields(value))
                    labels[text(d[1])] = text(d[2]) if 2 in d else d[3]
            assert len(values) == len(self.types)
            self.samples.append((stack, values, labels))
        self.duration = top.get(10, [0])[0] / 1e9
        self.period = top.get(12, [0])[0]

    def total(self):
        return sum(s[1][-1] for s in self.samples)

    def by(self, key):
        """Sums of the last value by key(stack, labels), the largest first."""
        sums = {}
        for stack, values, labels in self.samples:
            name = key(stack, labels)
            sums[name] = sums.get(name, 0) + values[-1]
        return sorted(sums.items(), key=lambda x: -x[1])

    def flat(self):
        return self.by(lambda stack, labels: stack[0] if stack else "")
