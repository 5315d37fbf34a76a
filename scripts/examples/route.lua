-- Route calls in Lua. In lua.conf:
--
--     [scripts]
--     route=examples/route.lua
--
-- A handler runs as a coroutine: sleep and bus.dispatch look as if they waited,
-- and nothing waits. It answers true (handled), false (go on with the next
-- handler), or a text, which is the target and means handled.

local numbers = {
  ["600"] = "tone/dial",
  ["700"] = "sip/sip:bob@127.0.0.1:5070",
}

local routed = 0

bus.handle("call.route", 60, function(msg)
  local target = numbers[msg.called]
  if target then
    routed = routed + 1
    msg.routed_by = "route.lua"
    return target
  end

  -- A number with * before it: asks the others for the rest of it, a second later.
  local rest = msg.called and msg.called:match("^%*(%w+)$")
  if not rest then
    return false
  end
  sleep(1)
  local handled, answer = bus.dispatch("call.route", {
    { "caller", msg.caller or "" },
    { "called", rest },
  })
  if handled then
    return answer.retval
  end
  msg.error = "noroute"
  return false
end)

-- Told of every call record behind its handlers, with a copy of the message.
bus.watch("call.cdr", function(msg, handled)
  if msg.operation == "finalize" then
    log.info("call", msg.chan or "?", "took", msg.duration or "?", "seconds")
  end
end)

-- A script may live on beside its handlers.
while true do
  sleep(60)
  log.debug("routed so far:", routed)
end
