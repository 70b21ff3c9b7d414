# For the clients that are shell scripts.

# check NAME CONDITION COMMAND…: the command prints JSON for which the Python condition on `it` holds.
check() {
  local name=$1 condition=$2
  output=$("${@:3}")
  if why=$(python -c 'import json, sys
it = json.loads(sys.argv[1])
sys.exit(0 if eval(sys.argv[2]) else sys.argv[1][:600])' "$output" "$condition" 2>&1); then
    echo "ok $name"
  else
    echo "FAILED $name: not $condition: $(tail -n 1 <<<"$why")"
  fi
}
