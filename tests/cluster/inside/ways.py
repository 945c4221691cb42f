"""What each hop on the way to a model adds: the same small question by every way in turn.

python - COUNT WAYS: WAYS is a JSON object, name → [HOST:PORT, the host to ask for, the model].
Prints name → [seconds…].
"""

import json
import sys
import time

import httpx

count, ways = int(sys.argv[1]), json.loads(sys.argv[2])
taken: dict[str, list[float]] = {name: [] for name in ways}
with httpx.Client(timeout=60, trust_env=False) as client:
    for number in range(count + 20):
        for name, (address, authority, model) in ways.items():
            began = time.perf_counter()
            answer = client.get(f"http://{address}/v2/models/{model}/ready", headers={"Host": authority})
            seconds = time.perf_counter() - began
            assert answer.status_code == 200, f"{name}: {answer.status_code} {answer.text[:300]}"
            if number >= 20:  # connections are open, routes are known
                taken[name].append(seconds)
print(json.dumps(taken))
