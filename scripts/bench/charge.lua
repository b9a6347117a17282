-- Authorise and report in turns, each under new ids. A job is reported LAG authorises later, when its authorise has
-- certainly been answered. Arguments: access token, number of users, number of queues.
local LAG = 600
local token, users, queues = nil, 1, 1
local counter, jobs = 0, {}
local headers = {}

function init(arguments)
  token, users, queues = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
  -- Several programs start in the same second; their ids must differ all the same.
  local noise = assert(io.open("/dev/urandom", "rb"))
  local a, b, c, d = noise:read(4):byte(1, 4)
  noise:close()
  math.randomseed(((a * 256 + b) * 256 + c) * 128 + d % 128)
  headers["Authorization"] = "Bearer " .. token
  headers["Content-Type"] = "application/json"
end

-- Version 7, as every client makes them: the time first. LuaJIT's clock has seconds; a counter orders within them.
local made = 0
local function uuid()
  made = made + 1
  local now = os.time() * 1000 + made % 1000
  return string.format("%08x-%04x-7%03x-8%03x-%06x%06x", math.floor(now / 65536), now % 65536,
    math.random(0, 0xfff), math.random(0, 0xfff), math.random(0, 0xffffff), math.random(0, 0xffffff))
end

local identity = '"attempt":1,"printing":{"spool_id":"9a6f03c1","cups_job_id":4711,"time_at_creation":1700000000},'
  .. '"title":"Lecture notes, week 7.pdf","host":"pc-17","facts":{"impressions":3,"sheets":2,"sides":"two-sided-long-edge",'
  .. '"media":"iso_a4_210x297mm","document_format":"application/pdf","document_bytes":123456}'
local outcome = '"revision":1,"outcome":"completed","printed":{"impressions":3,"sheets":2},'
  .. '"runs":[{"number":1,"started_at":1,"ended_at":2,"exit_code":0,"impressions_completed":3}]'

function request()
  counter = counter + 1
  local reported = jobs[counter - LAG]
  if counter % 2 == 0 and reported then
    jobs[counter - LAG] = nil
    local body = string.format('{"command_id":"%s",%s,%s,%s}', uuid(), reported, identity, outcome)
    return wrk.format("POST", "/api/v1/jobs/report", headers, body)
  end
  local whose = string.format('"job_id":"%s","user_name":"user%d","queue":"q%d"', uuid(), math.random(1, users),
    math.random(0, queues - 1))
  jobs[counter + 1] = whose
  return wrk.format("POST", "/api/v1/jobs/authorise", headers, string.format('{"command_id":"%s",%s,%s}', uuid(), whose, identity))
end

local bad = 0
function response(status, _, body)
  if status ~= 200 then
    bad = bad + 1
    if bad <= 3 then print("answer " .. status .. ": " .. body) end
  end
end
